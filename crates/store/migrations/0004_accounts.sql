-- Whoever signs in, and what they hold. Of every secret the SHA-256 is kept, as 64 hexadecimal digits; of passwords, argon2id.

-- `login` is a name without @; either it or the e-mail address is there. Both are folded for comparison.
CREATE TABLE accounts (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    login TEXT COLLATE "BINARY" UNIQUE,
    email TEXT COLLATE "BINARY",
    email_folded TEXT COLLATE "BINARY" UNIQUE,
    name TEXT COLLATE "BINARY" NOT NULL,
    blocked BOOLEAN NOT NULL,
    password TEXT COLLATE "BINARY",
    must_change_password BOOLEAN NOT NULL,
    -- Sealed. What is pending has not been confirmed by a code.
    totp_secret TEXT COLLATE "BINARY",
    totp_pending TEXT COLLATE "BINARY",
    -- The latest step whose code was used: no code is good twice.
    totp_step BIGINT NOT NULL,
    last_sign_in_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    sha256 TEXT COLLATE "BINARY" PRIMARY KEY,
    account_id TEXT COLLATE "BINARY" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_account ON recovery_codes (account_id);

-- `place` is `platform`, or the id of the organization or the project, so that a role is held once in each. `source` is empty for what
-- somebody gave by hand, else the issuer whose claims it comes from. `user_id` is who the person is among those that hold keys there.
CREATE TABLE memberships (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    account_id TEXT COLLATE "BINARY" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    place TEXT COLLATE "BINARY" NOT NULL,
    organization_id TEXT COLLATE "BINARY" REFERENCES organizations (id) ON DELETE CASCADE,
    project_id TEXT COLLATE "BINARY" REFERENCES projects (id) ON DELETE CASCADE,
    role TEXT COLLATE "BINARY" NOT NULL,
    user_id TEXT COLLATE "BINARY" REFERENCES users (id) ON DELETE SET NULL,
    source TEXT COLLATE "BINARY" NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (account_id, place, role)
);
CREATE INDEX memberships_organization ON memberships (organization_id, id);
CREATE INDEX memberships_project ON memberships (project_id);
CREATE INDEX memberships_user ON memberships (user_id);

-- `proved` is `password` while the second factor is still to come, `full` after that. `host` is where the cookie was given, and where
-- alone it is taken.
CREATE TABLE sessions (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    sha256 TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    account_id TEXT COLLATE "BINARY" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    proved TEXT COLLATE "BINARY" NOT NULL,
    host TEXT COLLATE "BINARY" NOT NULL,
    address TEXT COLLATE "BINARY",
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account_id, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- `scopes` is a JSON list of permissions; NULL: all that the owner may. `organization_id`: there alone.
CREATE TABLE tokens (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    sha256 TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    account_id TEXT COLLATE "BINARY" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT COLLATE "BINARY" NOT NULL,
    hint TEXT COLLATE "BINARY" NOT NULL,
    scopes TEXT COLLATE "BINARY",
    organization_id TEXT COLLATE "BINARY" REFERENCES organizations (id) ON DELETE CASCADE,
    expires_at BIGINT,
    used_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (account_id, name)
);
CREATE INDEX tokens_organization ON tokens (organization_id);

CREATE TABLE invitations (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    sha256 TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    email TEXT COLLATE "BINARY" NOT NULL,
    place TEXT COLLATE "BINARY" NOT NULL,
    organization_id TEXT COLLATE "BINARY" REFERENCES organizations (id) ON DELETE CASCADE,
    project_id TEXT COLLATE "BINARY" REFERENCES projects (id) ON DELETE CASCADE,
    role TEXT COLLATE "BINARY" NOT NULL,
    invited_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    account_id TEXT COLLATE "BINARY" REFERENCES accounts (id) ON DELETE SET NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX invitations_organization ON invitations (organization_id, id);
CREATE INDEX invitations_project ON invitations (project_id);
CREATE INDEX invitations_account ON invitations (account_id);

-- Attempts to sign in that were not successful: of an account, of a name that nobody has, of an address.
CREATE TABLE sign_in_failures (
    subject TEXT COLLATE "BINARY" PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    locked_until BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_last_at ON sign_in_failures (last_at);
