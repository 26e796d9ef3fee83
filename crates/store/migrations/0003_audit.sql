-- What was done, by whom. Rows are only ever added. `hash` is over the row and the hash of the one before, and the last one's is in
-- lingate_head: a row that is changed, left out, put in between or cut off shows. Whoever adds a row holds that of lingate_head.
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
CREATE INDEX audit_log_request ON audit_log (request_id);

ALTER TABLE lingate_head ADD COLUMN audit_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE lingate_head ADD COLUMN audit_hash TEXT NOT NULL DEFAULT '';

/* SQLite:
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'events of the audit log are only ever added'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'events of the audit log are only ever added'); END;
*/
/* PostgreSQL:
CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'events of the audit log are only ever added'; END $$;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();
*/
