-- What was done, by whom. Rows are only ever added. `hash` is over the row and the hash of the one before: a row that is changed, left
-- out or put in between shows. Whoever adds a row holds that of lingate_head.
CREATE TABLE audit_log (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT COLLATE "BINARY" NOT NULL,
    actor_id TEXT COLLATE "BINARY" NOT NULL,
    actor_name TEXT NOT NULL,
    action TEXT COLLATE "BINARY" NOT NULL,
    outcome TEXT COLLATE "BINARY" NOT NULL,
    object_kind TEXT COLLATE "BINARY" NOT NULL,
    object_id TEXT COLLATE "BINARY" NOT NULL,
    object_name TEXT NOT NULL,
    organization_id TEXT COLLATE "BINARY",
    project_id TEXT COLLATE "BINARY",
    address TEXT COLLATE "BINARY",
    request_id TEXT COLLATE "BINARY",
    detail TEXT,
    before TEXT,
    after TEXT,
    hash TEXT COLLATE "BINARY" NOT NULL
);
CREATE INDEX audit_log_organization ON audit_log (organization_id, number);
CREATE INDEX audit_log_object ON audit_log (object_id, number);
CREATE INDEX audit_log_at ON audit_log (at);
