-- Technicians of whom the third party said that there is none, and when that was asked.
CREATE TABLE missing_technician (
    id      TEXT NOT NULL PRIMARY KEY,
    told_ms INTEGER NOT NULL,
    hash    BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX missing_technician_by_age ON missing_technician (told_ms);

CREATE TRIGGER missing_technician_hashed_on_insert AFTER INSERT ON missing_technician BEGIN
    UPDATE missing_technician SET hash = row_hash(new.id, new.told_ms) WHERE rowid = new.rowid;
END;

CREATE TRIGGER missing_technician_hashed_on_update AFTER UPDATE OF id, told_ms ON missing_technician BEGIN
    UPDATE missing_technician SET hash = row_hash(new.id, new.told_ms) WHERE rowid = new.rowid;
END;
