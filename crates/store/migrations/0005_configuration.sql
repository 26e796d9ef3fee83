-- What is stored of the configuration: each part by itself, in the shape that it has in lingate.yml. `position` orders routes; of the
-- others it says nothing.
CREATE TABLE documents (
    kind TEXT COLLATE "BINARY" NOT NULL,
    name TEXT COLLATE "BINARY" NOT NULL,
    position BIGINT NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- The revisions at which documents and keys of providers have changed last: replicas read each of them again when it has.
ALTER TABLE lingate_head ADD COLUMN documents BIGINT NOT NULL DEFAULT 0;
ALTER TABLE lingate_head ADD COLUMN provider_keys BIGINT NOT NULL DEFAULT 0;
