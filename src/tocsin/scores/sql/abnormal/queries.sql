-- name: position
SELECT position FROM position WHERE partition = :partition
-- name: positions
SELECT partition, position FROM position
-- name: advance
INSERT INTO position (partition, position) VALUES (:partition, :position)
ON CONFLICT DO UPDATE SET position = excluded.position
-- name: forget_readings
DELETE FROM abnormal WHERE tenant = :tenant AND device = :device
-- name: forget_minutes
DELETE FROM abnormal_minute WHERE tenant = :tenant AND device = :device
-- name: add
INSERT INTO abnormal (tenant, application, device, parameter, ts, value, expected, lower, upper, score,
                      detector, partition, "offset")
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    value = excluded.value, expected = excluded.expected, lower = excluded.lower, upper = excluded.upper,
    score = excluded.score, detector = excluded.detector, partition = excluded.partition,
    "offset" = excluded."offset"
WHERE excluded.score > abnormal.score
-- name: oldest_to_keep
SELECT ts FROM abnormal WHERE tenant = :tenant ORDER BY ts DESC LIMIT 1 OFFSET :rows
-- name: drop_readings
DELETE FROM abnormal WHERE tenant = :tenant AND ts <= :ts
-- name: drop_minutes
DELETE FROM abnormal_minute WHERE tenant = :tenant AND minute < :minute
-- name: newest
SELECT max(ts) FROM abnormal WHERE tenant = :tenant
-- name: set_kept
INSERT INTO abnormal_kept (tenant, from_ms) VALUES (:tenant, :from_ms)
ON CONFLICT DO UPDATE SET from_ms = max(from_ms, excluded.from_ms)
-- name: kept
SELECT from_ms FROM abnormal_kept WHERE tenant = :tenant
-- name: latest
SELECT tenant, application, device, parameter, ts, value, expected, lower, upper, score, detector,
       partition, "offset"
FROM abnormal WHERE tenant = :tenant ORDER BY ts DESC LIMIT :limit
-- name: latest_of_device
SELECT tenant, application, device, parameter, ts, value, expected, lower, upper, score, detector,
       partition, "offset"
FROM abnormal WHERE tenant = :tenant AND device = :device ORDER BY ts DESC LIMIT :limit
-- name: count_readings
SELECT count(*) FROM abnormal WHERE tenant = :tenant AND ts > :after_ms AND ts <= :through_ms
-- name: count_minutes
SELECT coalesce(sum(count), 0) FROM abnormal_minute
WHERE tenant = :tenant AND minute >= :first AND minute < :end
