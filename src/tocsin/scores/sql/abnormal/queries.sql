-- name: position
SELECT position FROM position WHERE partition = :partition
-- name: positions
SELECT partition, position FROM position
-- name: advance
INSERT INTO position (partition, position, hash) VALUES (:partition, :position, row_hash(:partition, :position))
ON CONFLICT DO UPDATE SET position = excluded.position, hash = excluded.hash
-- name: forget_readings
DELETE FROM abnormal WHERE tenant = :tenant AND device = :device
-- name: forget_minutes
DELETE FROM abnormal_minute WHERE tenant = :tenant AND device = :device
-- name: add
INSERT INTO abnormal (tenant, application, device, parameter, ts, value, expected, lower, upper, score,
                      detector, partition, "offset", hash)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
        row_hash(?1, ?2, ?3, ?4, ?5, CAST(?6 AS REAL), CAST(?7 AS REAL), CAST(?8 AS REAL),
                 CAST(?9 AS REAL), CAST(?10 AS REAL), ?11, ?12, ?13))
ON CONFLICT DO UPDATE SET
    value = excluded.value, expected = excluded.expected, lower = excluded.lower, upper = excluded.upper,
    score = excluded.score, detector = excluded.detector, partition = excluded.partition,
    "offset" = excluded."offset", hash = excluded.hash
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
INSERT INTO abnormal_kept (tenant, from_ms, hash) VALUES (:tenant, :from_ms, row_hash(:tenant, :from_ms))
ON CONFLICT DO UPDATE SET from_ms = excluded.from_ms, hash = excluded.hash
WHERE excluded.from_ms > from_ms
-- name: kept
SELECT from_ms FROM abnormal_kept WHERE tenant = :tenant
-- name: latest
SELECT tenant, application, device, parameter, ts, value, expected, lower, upper, score, detector,
       partition, "offset", hash
FROM abnormal WHERE tenant = :tenant ORDER BY ts DESC LIMIT :limit
-- name: latest_of_devices
SELECT a.tenant, a.application, a.device, a.parameter, a.ts, a.value, a.expected, a.lower, a.upper, a.score,
       a.detector, a.partition, a."offset", a.hash
FROM json_each(:devices) AS d CROSS JOIN abnormal AS a
WHERE a.tenant = :tenant AND a.device = d.value ORDER BY a.ts DESC LIMIT :limit
-- name: count_readings_of_devices
SELECT count(*) FROM abnormal INDEXED BY abnormal_by_ts
WHERE tenant = :tenant AND ts > :after_ms AND ts <= :through_ms
  AND device IN (SELECT value FROM json_each(:devices))
-- name: count_minutes_of_devices
SELECT coalesce(sum(m.count), 0)
FROM json_each(:devices) AS d CROSS JOIN abnormal_minute AS m INDEXED BY abnormal_minute_by_device
WHERE m.tenant = :tenant AND m.device = d.value AND m.minute >= :first AND m.minute < :end
-- name: count_readings
SELECT count(*) FROM abnormal WHERE tenant = :tenant AND ts > :after_ms AND ts <= :through_ms
-- name: count_minutes
SELECT coalesce(sum(count), 0) FROM abnormal_minute
WHERE tenant = :tenant AND minute >= :first AND minute < :end
-- name: all_readings
SELECT tenant, application, device, parameter, ts, value, expected, lower, upper, score, detector,
       partition, "offset", hash
FROM abnormal
-- name: all_minutes
SELECT tenant, minute, device, count, hash FROM abnormal_minute
-- name: all_kept
SELECT tenant, from_ms, hash FROM abnormal_kept
-- name: all_positions
SELECT partition, position, hash FROM position
-- name: add_scored
INSERT INTO scored (tenant, payload, hash) VALUES (:tenant, :payload, row_hash(:tenant, :payload))
-- name: scored
SELECT sequence, tenant, payload, hash FROM scored WHERE sequence > :after ORDER BY sequence
-- name: forget_scored
DELETE FROM scored WHERE sequence <= :through
-- name: reserve_scored
INSERT OR IGNORE INTO scored (sequence, tenant, payload, hash) VALUES (:through, '', x'', x'')
-- name: all_scored
SELECT sequence, tenant, payload, hash FROM scored
