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
