-- Maintenance windows as people asked for them. `body` is the window as JSON, the other columns find it;
-- `settled`: nothing of it is left to be logged.
CREATE TABLE maintenance (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    tenant   TEXT NOT NULL,
    actor    TEXT NOT NULL,
    key      TEXT NOT NULL,
    settled  INTEGER NOT NULL,
    body     TEXT NOT NULL,
    hash     BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE UNIQUE INDEX maintenance_by_key ON maintenance (tenant, actor, key) WHERE key <> '';
CREATE INDEX maintenance_by_tenant ON maintenance (tenant, number);
CREATE INDEX maintenance_unsettled ON maintenance (number) WHERE settled = 0;

CREATE TRIGGER maintenance_hashed_on_insert AFTER INSERT ON maintenance BEGIN
    UPDATE maintenance SET hash = row_hash(new.number, new.id, new.tenant, new.actor, new.key, new.settled, new.body)
    WHERE rowid = new.rowid;
END;

CREATE TRIGGER maintenance_hashed_on_update AFTER UPDATE OF number, id, tenant, actor, key, settled, body
ON maintenance BEGIN
    UPDATE maintenance SET hash = row_hash(new.number, new.id, new.tenant, new.actor, new.key, new.settled, new.body)
    WHERE rowid = new.rowid;
END;
