-- Each reading once, under the detector with the highest score.
CREATE TABLE abnormal (
    tenant      TEXT NOT NULL,
    device      TEXT NOT NULL,
    application TEXT NOT NULL,
    parameter   TEXT NOT NULL,
    ts          INTEGER NOT NULL,
    value       REAL NOT NULL,
    expected    REAL,
    lower       REAL,
    upper       REAL,
    score       REAL NOT NULL,
    detector    TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, application, parameter, ts)
) STRICT, WITHOUT ROWID;

CREATE INDEX abnormal_by_ts ON abnormal (tenant, ts);

-- How many abnormal readings each device had in each minute; outlives the readings themselves.
CREATE TABLE abnormal_minute (
    tenant TEXT NOT NULL,
    minute INTEGER NOT NULL,
    device TEXT NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (tenant, minute, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX abnormal_minute_by_device ON abnormal_minute (tenant, device);

-- Before this time the readings of a tenant have been dropped and only the minutes are left.
CREATE TABLE abnormal_kept (
    tenant  TEXT PRIMARY KEY,
    from_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE position (
    partition INTEGER PRIMARY KEY,
    position  INTEGER NOT NULL
) STRICT;

CREATE TRIGGER abnormal_counted AFTER INSERT ON abnormal BEGIN
    INSERT INTO abnormal_minute (tenant, minute, device, count)
    VALUES (new.tenant, (new.ts - ((new.ts % 60000) + 60000) % 60000) / 60000, new.device, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;

-- A hash in every row.
ALTER TABLE abnormal ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE abnormal_minute ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE abnormal_kept ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE position ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

UPDATE abnormal SET hash = row_hash(
        tenant, application, device, parameter, ts, value, expected, lower, upper, score, detector,
        partition, "offset"
);
UPDATE abnormal_minute SET hash = row_hash(tenant, minute, device, count);
UPDATE abnormal_kept SET hash = row_hash(tenant, from_ms);
UPDATE position SET hash = row_hash(partition, position);

DROP TRIGGER abnormal_counted;

CREATE TRIGGER abnormal_counted AFTER INSERT ON abnormal BEGIN
    INSERT INTO abnormal_minute (tenant, minute, device, count, hash)
    VALUES (new.tenant, (new.ts - ((new.ts % 60000) + 60000) % 60000) / 60000, new.device, 1,
            row_hash(new.tenant, (new.ts - ((new.ts % 60000) + 60000) % 60000) / 60000, new.device, 1))
    ON CONFLICT DO UPDATE SET count = count + 1, hash = row_hash(tenant, minute, device, count + 1);
END;
-- Scores on their way to the lake, as Arrow; sequences are never used twice.
CREATE TABLE scored (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   TEXT NOT NULL,
    payload  BLOB NOT NULL,
    hash     BLOB NOT NULL -- of tenant and payload
) STRICT;
