
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
