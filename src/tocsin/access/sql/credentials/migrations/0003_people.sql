
-- People sign in with a name and a password, of which only the hash is kept. `roles` is a JSON array.
CREATE TABLE person (
    person_id         TEXT NOT NULL PRIMARY KEY,
    tenant            TEXT NOT NULL REFERENCES tenant (name),
    name              TEXT NOT NULL,
    display_name      TEXT NOT NULL,
    roles             TEXT NOT NULL,
    technician        TEXT,
    disabled          INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    one_time_until_ms INTEGER,
    revision          INTEGER NOT NULL,
    created_ms        INTEGER NOT NULL,
    created_by        TEXT NOT NULL,
    signed_in_ms      INTEGER,
    password_hash     TEXT NOT NULL,
    hash              BLOB NOT NULL DEFAULT x'',
    UNIQUE (tenant, name)
) STRICT;

CREATE TRIGGER person_hashed_on_insert AFTER INSERT ON person BEGIN
    UPDATE person SET hash = row_hash(
        new.person_id, new.tenant, new.name, new.display_name, new.roles, new.technician, new.disabled,
        new.one_time_until_ms, new.revision, new.created_ms, new.created_by, new.signed_in_ms,
        new.password_hash
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER person_hashed_on_update AFTER UPDATE OF
    person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms, revision,
    created_ms, created_by, signed_in_ms, password_hash
ON person BEGIN
    UPDATE person SET hash = row_hash(
        new.person_id, new.tenant, new.name, new.display_name, new.roles, new.technician, new.disabled,
        new.one_time_until_ms, new.revision, new.created_ms, new.created_by, new.signed_in_ms,
        new.password_hash
    ) WHERE rowid = new.rowid;
END;
