-- Services elsewhere that say who somebody is (OpenID Connect). `client_secret` is an envelope, or a reference to where it is; `spec` is
-- JSON. An issuer is there once: its word on (issuer, subject) and the roles that come of it are one thing.
CREATE TABLE sign_in_providers (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    name TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    issuer TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    client_id TEXT COLLATE "BINARY" NOT NULL,
    client_secret TEXT COLLATE "BINARY",
    enabled BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Who somebody is at an issuer: for good, whatever becomes of their e-mail address.
CREATE TABLE account_identities (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    issuer TEXT COLLATE "BINARY" NOT NULL,
    subject TEXT COLLATE "BINARY" NOT NULL,
    account_id TEXT COLLATE "BINARY" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX account_identities_account ON account_identities (account_id);

-- Sign-ins under way, each good once. What proves them (nonce, code verifier) follows from the browser's cookie, of which the hash is
-- here. `account_id`: who is signed in already, and wants to be known by that issuer, too.
CREATE TABLE pending_sign_ins (
    state_sha256 TEXT COLLATE "BINARY" PRIMARY KEY,
    cookie_sha256 TEXT COLLATE "BINARY" NOT NULL,
    provider_id TEXT COLLATE "BINARY" NOT NULL REFERENCES sign_in_providers (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "BINARY" REFERENCES accounts (id) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    return_to TEXT NOT NULL,
    address TEXT COLLATE "BINARY" NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pending_sign_ins_expires_at ON pending_sign_ins (expires_at);
CREATE INDEX pending_sign_ins_address ON pending_sign_ins (address);
