-- name: technician
SELECT id, fetched_ms, due_ms, failures, wanted, hash FROM technician WHERE id = :id
-- name: technicians
SELECT count(*) FROM technician
-- name: technicians_wanted
SELECT count(*) FROM technician WHERE wanted
-- name: add_technician
INSERT INTO technician (id, due_ms, wanted) VALUES (:id, :due_ms, :wanted) ON CONFLICT DO NOTHING
-- name: fetched
UPDATE technician
SET fetched_ms = :fetched_ms, due_ms = :due_ms, failures = 0, wanted = wanted AND :empty
WHERE id = :id
-- name: hasten_technician
UPDATE technician SET due_ms = :due_ms WHERE id = :id AND due_ms > :due_ms AND failures = 0
-- name: hasten_device
UPDATE device SET due_ms = :due_ms WHERE id = :id AND due_ms > :due_ms AND failures = 0
-- name: technician_failed
UPDATE technician SET due_ms = :due_ms, failures = failures + 1 WHERE id = :id
-- name: forget_technician
DELETE FROM technician WHERE id = :id
-- name: missing_technician
SELECT id, told_ms, hash FROM missing_technician WHERE id = :id
-- name: put_missing_technician
INSERT INTO missing_technician (id, told_ms) VALUES (:id, :told_ms)
ON CONFLICT DO UPDATE SET told_ms = excluded.told_ms
-- name: found_technician
DELETE FROM missing_technician WHERE id = :id
-- name: trim_missing_technicians
DELETE FROM missing_technician
WHERE id IN (SELECT id FROM missing_technician ORDER BY told_ms DESC LIMIT -1 OFFSET :kept_max)
-- name: due_technicians
SELECT id, due_ms, failures FROM technician WHERE due_ms <= :now_ms ORDER BY due_ms, id LIMIT :limit
-- name: oldest_fetch
SELECT min(fetched_ms) FROM technician
-- name: device
SELECT d.id, d.technician, d.location, d.listed, d.seen, d.told_ms, d.due_ms, d.failures, d.hash,
       CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END
FROM device d LEFT JOIN technician t ON t.id = d.technician
WHERE d.id = :id
-- part: devices_of
SELECT d.id, d.technician, d.location, d.listed, d.seen, d.told_ms, d.due_ms, d.failures, d.hash,
       CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END AS as_of_ms
FROM device d LEFT JOIN technician t ON t.id = d.technician
WHERE d.technician = :technician AND d.id > :after
  AND CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END >= :from_ms
ORDER BY d.id LIMIT :limit
-- name: devices_of
-- with: devices_of
-- name: devices_of_at_once
SELECT CAST(json_group_array(
  json_array(id, technician, location, listed, seen, told_ms, due_ms, failures, hex(hash), as_of_ms) ORDER BY id
) AS BLOB)
FROM (
-- with: devices_of
)
-- name: devices_at
SELECT d.id, d.technician, d.location, d.listed, d.seen, d.told_ms, d.due_ms, d.failures, d.hash,
       CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END
FROM device d LEFT JOIN technician t ON t.id = d.technician
WHERE d.location = :location AND d.id > :after
  AND CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END >= :from_ms
ORDER BY d.id LIMIT :limit
-- name: all_of
SELECT id, technician, location, listed, seen, told_ms, due_ms, failures, hash FROM device WHERE technician = :technician
-- name: locations
SELECT d.location, count(*), min(CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END)
FROM device d LEFT JOIN technician t ON t.id = d.technician
WHERE d.location > :after
  AND CASE WHEN d.listed THEN max(d.told_ms, coalesce(t.fetched_ms, 0)) ELSE d.told_ms END >= :from_ms
GROUP BY d.location ORDER BY d.location LIMIT :limit
-- name: devices
SELECT count(*) FROM device
-- name: devices_seen
SELECT count(*) FROM device WHERE seen
-- name: see
INSERT INTO device (id, seen, due_ms) VALUES (:id, 1, :due_ms)
-- name: mark_seen
UPDATE device SET seen = 1 WHERE id = :id AND NOT seen
-- name: device_known
SELECT 1 FROM device WHERE id = :id
-- name: put_device
INSERT INTO device (id, technician, location, listed, told_ms, due_ms)
VALUES (:id, :technician, :location, :listed, :told_ms, :due_ms)
ON CONFLICT DO UPDATE SET
    technician = excluded.technician, location = excluded.location, listed = excluded.listed,
    told_ms = excluded.told_ms, due_ms = excluded.due_ms, failures = 0
-- name: device_failed
UPDATE device SET due_ms = :due_ms, failures = failures + 1 WHERE id = :id
-- name: forget_device
DELETE FROM device WHERE id = :id
-- name: due_devices
SELECT id, due_ms, failures FROM device WHERE due_ms <= :now_ms ORDER BY due_ms, id LIMIT :limit
-- name: all_technicians
SELECT id, fetched_ms, due_ms, failures, wanted, hash FROM technician
-- name: all_devices
SELECT id, technician, location, listed, seen, told_ms, due_ms, failures, hash FROM device
-- name: all_missing_technicians
SELECT id, told_ms, hash FROM missing_technician
