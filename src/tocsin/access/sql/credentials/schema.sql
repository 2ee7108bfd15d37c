CREATE TABLE tenant (
    name       TEXT NOT NULL PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT;

-- Only the hash of a secret is kept. `roles`, `devices` and `patterns` are JSON arrays.
CREATE TABLE credential (
    key_id        TEXT NOT NULL PRIMARY KEY,
    tenant        TEXT NOT NULL REFERENCES tenant (name),
    kind          TEXT NOT NULL CHECK (kind IN ('device', 'gateway', 'api_key')),
    name          TEXT NOT NULL,
    roles         TEXT NOT NULL,
    devices       TEXT NOT NULL,
    patterns      TEXT NOT NULL,
    all_devices   INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    expires_ms    INTEGER,
    revoked_ms    INTEGER,
    last_used_ms  INTEGER,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32)
) STRICT;

CREATE INDEX credential_by_tenant ON credential (tenant, key_id);

-- A hash in every row, whatever way it was changed.
ALTER TABLE tenant ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE credential ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

UPDATE tenant SET hash = row_hash(
        name, created_ms
);
UPDATE credential SET hash = row_hash(
        key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms, created_by,
        expires_ms, revoked_ms, last_used_ms, secret_sha256
);

CREATE TRIGGER tenant_hashed_on_insert AFTER INSERT ON tenant BEGIN
    UPDATE tenant SET hash = row_hash(
        new.name, new.created_ms
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER tenant_hashed_on_update AFTER UPDATE OF
    name, created_ms
ON tenant BEGIN
    UPDATE tenant SET hash = row_hash(
        new.name, new.created_ms
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER credential_hashed_on_insert AFTER INSERT ON credential BEGIN
    UPDATE credential SET hash = row_hash(
        new.key_id, new.tenant, new.kind, new.name, new.roles, new.devices, new.patterns,
        new.all_devices, new.created_ms, new.created_by, new.expires_ms, new.revoked_ms,
        new.last_used_ms, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER credential_hashed_on_update AFTER UPDATE OF
    key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms, created_by,
    expires_ms, revoked_ms, last_used_ms, secret_sha256
ON credential BEGIN
    UPDATE credential SET hash = row_hash(
        new.key_id, new.tenant, new.kind, new.name, new.roles, new.devices, new.patterns,
        new.all_devices, new.created_ms, new.created_by, new.expires_ms, new.revoked_ms,
        new.last_used_ms, new.secret_sha256
    ) WHERE rowid = new.rowid;
END;

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
