-- Requests that are made once. `request` tells one from others; `answer` is sealed, and NULL while the request is under way.
CREATE TABLE idempotency_keys (
    actor TEXT COLLATE "BINARY" NOT NULL,
    idempotency_key TEXT COLLATE "BINARY" NOT NULL,
    request TEXT COLLATE "BINARY" NOT NULL,
    answer TEXT COLLATE "BINARY",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, idempotency_key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
