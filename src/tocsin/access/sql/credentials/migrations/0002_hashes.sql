
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
