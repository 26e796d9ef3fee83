-- Credentials at providers. `sealed` is an envelope that takes the master key; instead of it there may be a `reference` to where the
-- credential is. `fingerprint` finds doubles without opening anything. The order of ids is that in which keys were added.
CREATE TABLE provider_keys (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    provider TEXT COLLATE "BINARY" NOT NULL,
    sealed TEXT COLLATE "BINARY",
    reference TEXT,
    fingerprint TEXT COLLATE "BINARY" NOT NULL,
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX provider_keys_provider ON provider_keys (provider, id);
CREATE INDEX provider_keys_fingerprint ON provider_keys (provider, fingerprint);

-- Work that lasts longer than a request. One that runs is told of every few seconds (`beat_at`); one that is told of no more died with
-- its gateway.
CREATE TABLE jobs (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    kind TEXT COLLATE "BINARY" NOT NULL,
    object TEXT COLLATE "BINARY" NOT NULL,
    state TEXT COLLATE "BINARY" NOT NULL,
    total BIGINT,
    done BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    wanted_end BOOLEAN NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL,
    ended_at BIGINT
);
