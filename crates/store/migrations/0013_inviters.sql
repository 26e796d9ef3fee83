-- Until when a password is good that somebody else has given; NULL: it is the account's own. Those that were given before count from
-- the last change of their account.
ALTER TABLE accounts ADD COLUMN password_expires_at BIGINT;
UPDATE accounts SET password_expires_at = updated_at + 259200000 WHERE must_change_password;

-- By what right somebody is invited: `account` or `api_key` with its id, which is looked up when the invitation is accepted, or
-- `local`, whose right does not end. No key refers to it: whoever is gone has invited all the same. NULL: it was not written down.
ALTER TABLE invitations ADD COLUMN inviter_kind TEXT COLLATE "BINARY";
ALTER TABLE invitations ADD COLUMN inviter_id TEXT COLLATE "BINARY";
