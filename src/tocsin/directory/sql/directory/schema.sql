-- Technicians whose list is asked for. `fetched_ms` is when the last whole answer was asked for, NULL before
-- the first; `due_ms` when the next question may go out; `wanted` is 1 where a person asked, and no device did.
CREATE TABLE technician (
    id         TEXT NOT NULL PRIMARY KEY,
    fetched_ms INTEGER,
    due_ms     INTEGER NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0,
    wanted     INTEGER NOT NULL DEFAULT 0,
    hash       BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX technician_by_due ON technician (due_ms);

-- What was last said of each device. A `listed` one is in the newest list of its technician, so what is said
-- of it is as old as that list; of another it is as old as `told_ms`, NULL if nothing was ever said.
-- `seen` is 1 where Tocsin knows the device from its data. `due_ms` is when to ask about the device itself.
CREATE TABLE device (
    id         TEXT NOT NULL PRIMARY KEY,
    technician TEXT,
    location   TEXT,
    listed     INTEGER NOT NULL DEFAULT 0,
    seen       INTEGER NOT NULL DEFAULT 0,
    told_ms    INTEGER,
    due_ms     INTEGER,
    failures   INTEGER NOT NULL DEFAULT 0,
    hash       BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX device_by_technician ON device (technician, id);
CREATE INDEX device_by_location ON device (location, id);
CREATE INDEX device_by_due ON device (due_ms) WHERE due_ms IS NOT NULL;

-- Technicians of whom the third party said that there is none, and when that was asked.
CREATE TABLE missing_technician (
    id      TEXT NOT NULL PRIMARY KEY,
    told_ms INTEGER NOT NULL,
    hash    BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE INDEX missing_technician_by_age ON missing_technician (told_ms);

-- A hash in every row, whatever way it was changed.
CREATE TRIGGER technician_hashed_on_insert AFTER INSERT ON technician BEGIN
    UPDATE technician SET hash = row_hash(
        new.id, new.fetched_ms, new.due_ms, new.failures, new.wanted
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER technician_hashed_on_update AFTER UPDATE OF
    id, fetched_ms, due_ms, failures, wanted
ON technician BEGIN
    UPDATE technician SET hash = row_hash(
        new.id, new.fetched_ms, new.due_ms, new.failures, new.wanted
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER device_hashed_on_insert AFTER INSERT ON device BEGIN
    UPDATE device SET hash = row_hash(
        new.id, new.technician, new.location, new.listed, new.seen, new.told_ms, new.due_ms, new.failures
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER device_hashed_on_update AFTER UPDATE OF
    id, technician, location, listed, seen, told_ms, due_ms, failures
ON device BEGIN
    UPDATE device SET hash = row_hash(
        new.id, new.technician, new.location, new.listed, new.seen, new.told_ms, new.due_ms, new.failures
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER missing_technician_hashed_on_insert AFTER INSERT ON missing_technician BEGIN
    UPDATE missing_technician SET hash = row_hash(new.id, new.told_ms) WHERE rowid = new.rowid;
END;

CREATE TRIGGER missing_technician_hashed_on_update AFTER UPDATE OF id, told_ms ON missing_technician BEGIN
    UPDATE missing_technician SET hash = row_hash(new.id, new.told_ms) WHERE rowid = new.rowid;
END;
