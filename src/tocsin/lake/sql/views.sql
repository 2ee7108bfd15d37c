-- What SQL sees. Below each view lie two relations of one tenant: <name>_stored (files of the lake) and
-- <name>_tail (decoded from the log beyond the lake's positions).

-- name: events
CREATE VIEW events AS
SELECT * FROM (
    SELECT $tenant AS tenant, coalesce(sent_application, application, '') AS application,
           coalesce(sent_version, version, '') AS version, date, device, ts, arrival, readings, text,
           text_count, id, flags, log_partition, log_offset
    FROM events_stored
    WHERE flags & 8 = 0
    UNION ALL
    SELECT $tenant, application, version, date, device, ts, arrival, readings, text,
           text_count, id, flags, log_partition, log_offset
    FROM events_tail
    WHERE flags & 8 = 0
)

-- name: logs
CREATE VIEW logs AS
SELECT $tenant AS tenant, application, version, date, device, ts AS "time", arrival,
       line ->> '$.component' AS component, coalesce(line ->> '$.level', '') AS level, line ->> '$.text' AS text,
       line -> '$.fields' AS fields, log_partition, log_offset
FROM (
    SELECT coalesce(sent_application, application, '') AS application,
           coalesce(sent_version, version, '') AS version, date, device, ts, arrival, text AS line,
           log_partition, log_offset
    FROM events_stored
    WHERE flags & 8 <> 0
    UNION ALL
    SELECT application, version, date, device, ts, arrival, text, log_partition, log_offset
    FROM events_tail
    WHERE flags & 8 <> 0
)

-- name: readings
CREATE VIEW readings AS
SELECT * EXCLUDE (names), unnest(names) AS parameter, unnest(map_values(readings)) AS value
FROM (SELECT tenant, application, version, date, device, ts, arrival, flags, log_partition, log_offset,
             readings, map_keys(readings) AS names FROM events)

-- name: hour_parts
CREATE VIEW hour_parts AS
SELECT application, device, parameter, hour, "count", "sum", m2, "min", "max", revision FROM hours_stored
UNION ALL
SELECT application, device, parameter, hour, "count", "sum", m2, "min", "max", revision FROM hours_tail

-- name: spans
CREATE VIEW {view} AS
WITH part AS (
    SELECT *, {start} AS start_of_span FROM hour_parts
), centred AS (
    SELECT *, sum("sum") OVER span / sum("count") OVER span AS grand_mean
    FROM part
    WINDOW span AS (PARTITION BY application, device, parameter, start_of_span)
)
SELECT $tenant AS tenant, application, device, parameter, start_of_span AS {column}{label},
       sum("count")::BIGINT AS "count",
       sum("sum") / sum("count") AS mean,
       CASE WHEN sum("count") > 1
            THEN sqrt(sum(m2 + "count" * pow("sum" / "count" - grand_mean, 2)) / (sum("count") - 1))
       END AS deviation,
       min("min") AS "min",
       max("max") AS "max",
       max(revision) AS revision
FROM centred
GROUP BY application, device, parameter, start_of_span

-- name: control
CREATE VIEW control AS
SELECT $tenant AS tenant, log_partition, log_offset, arrival, type, payload FROM control_stored
UNION ALL
SELECT $tenant, log_partition, log_offset, arrival, type, payload FROM control_tail

-- name: scores
CREATE VIEW scores AS
WITH corrected AS (
    SELECT log_partition, device, max(revision) AS revision
    FROM scores_stored WHERE verdict = 'corrected' GROUP BY log_partition, device
)
SELECT $tenant AS tenant, given.* EXCLUDE (tenant)
FROM scores_stored AS given
LEFT JOIN corrected USING (log_partition, device)
WHERE given.verdict <> 'corrected'
  AND given.revision = CASE WHEN corrected.revision > given.log_offset THEN corrected.revision ELSE 0 END

-- name: plain
CREATE VIEW {view} AS SELECT $tenant AS tenant, * EXCLUDE (tenant) FROM {view}_stored
