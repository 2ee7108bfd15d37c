
-- Keys that people made for their programs: of a person's rights those that `scopes`, a JSON array, names.
CREATE TABLE person_key (
    key_id        TEXT NOT NULL PRIMARY KEY,
    tenant        TEXT NOT NULL REFERENCES tenant (name),
    person_id     TEXT NOT NULL REFERENCES person (person_id),
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    revoked_ms    INTEGER,
    last_used_ms  INTEGER,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    hash          BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX person_key_by_person ON person_key (person_id, created_ms);

CREATE TRIGGER person_key_hashed_on_insert AFTER INSERT ON person_key BEGIN
    UPDATE person_key SET hash = row_hash(
        new.key_id, new.tenant, new.person_id, new.name, new.scopes, new.created_ms, new.expires_ms,
        new.revoked_ms, new.last_used_ms, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER person_key_hashed_on_update AFTER UPDATE OF
    key_id, tenant, person_id, name, scopes, created_ms, expires_ms, revoked_ms, last_used_ms, secret_sha256
ON person_key BEGIN
    UPDATE person_key SET hash = row_hash(
        new.key_id, new.tenant, new.person_id, new.name, new.scopes, new.created_ms, new.expires_ms,
        new.revoked_ms, new.last_used_ms, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;
