-- Tenants. Ids are UUIDs as text, moments are milliseconds since 1970, and text is ordered by its bytes on every database.

-- One row. `revision` counts changes of tenants; whoever changes any holds this row, so that no change is seen before an earlier one.
-- Deletions up to `horizon` are forgotten. Who has seen revision 0 has seen nothing.
CREATE TABLE lingate_head (
    only_one BIGINT PRIMARY KEY CHECK (only_one = 1),
    revision BIGINT NOT NULL,
    horizon BIGINT NOT NULL
);
INSERT INTO lingate_head (only_one, revision, horizon) VALUES (1, 1, 0);

-- A row that is a stand-in is of something that lingate.yml names: what is stored can refer to it, and nothing else is known of it here.
CREATE TABLE organizations (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    name TEXT COLLATE "BINARY" NOT NULL,
    stand_in BOOLEAN NOT NULL,
    blocked BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (name, stand_in)
);
CREATE INDEX organizations_revision ON organizations (revision);

CREATE TABLE projects (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    organization_id TEXT COLLATE "BINARY" NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "BINARY" NOT NULL,
    stand_in BOOLEAN NOT NULL,
    blocked BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, name, stand_in)
);
CREATE INDEX projects_page ON projects (organization_id, id);
CREATE INDEX projects_revision ON projects (revision);

CREATE TABLE users (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    organization_id TEXT COLLATE "BINARY" NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "BINARY" NOT NULL,
    kind TEXT COLLATE "BINARY" NOT NULL,
    stand_in BOOLEAN NOT NULL,
    blocked BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, name, stand_in)
);
CREATE INDEX users_page ON users (organization_id, id);
CREATE INDEX users_revision ON users (revision);

CREATE TABLE api_keys (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    project_id TEXT COLLATE "BINARY" NOT NULL REFERENCES projects (id),
    name TEXT COLLATE "BINARY" NOT NULL,
    user_id TEXT COLLATE "BINARY" REFERENCES users (id),
    expires_at BIGINT,
    stand_in BOOLEAN NOT NULL,
    blocked BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, name, stand_in)
);
CREATE INDEX api_keys_page ON api_keys (project_id, id);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_name ON api_keys (name);
CREATE INDEX api_keys_revision ON api_keys (revision);

-- `sha256` is 64 hexadecimal digits.
CREATE TABLE api_key_secrets (
    sha256 TEXT COLLATE "BINARY" PRIMARY KEY,
    api_key_id TEXT COLLATE "BINARY" NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    hint TEXT COLLATE "BINARY" NOT NULL,
    expires_at BIGINT
);
CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key_id, place);

CREATE TABLE deletions (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    kind TEXT COLLATE "BINARY" NOT NULL,
    revision BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL
);
CREATE INDEX deletions_revision ON deletions (revision);
CREATE INDEX deletions_deleted_at ON deletions (deleted_at);
