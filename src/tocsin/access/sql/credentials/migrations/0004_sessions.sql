
-- Browsers that are signed in, for people and for API keys (`holder`). Only the hash of a cookie is kept.
CREATE TABLE session (
    session_id    TEXT NOT NULL PRIMARY KEY,
    tenant        TEXT NOT NULL REFERENCES tenant (name),
    holder        TEXT NOT NULL,
    started_ms    INTEGER NOT NULL,
    used_ms       INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    address       TEXT NOT NULL,
    agent         TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    hash          BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX session_by_holder ON session (holder, started_ms);

CREATE TRIGGER session_hashed_on_insert AFTER INSERT ON session BEGIN
    UPDATE session SET hash = row_hash(
        new.session_id, new.tenant, new.holder, new.started_ms, new.used_ms, new.expires_ms, new.address,
        new.agent, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER session_hashed_on_update AFTER UPDATE OF
    session_id, tenant, holder, started_ms, used_ms, expires_ms, address, agent, secret_sha256
ON session BEGIN
    UPDATE session SET hash = row_hash(
        new.session_id, new.tenant, new.holder, new.started_ms, new.used_ms, new.expires_ms, new.address,
        new.agent, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;
