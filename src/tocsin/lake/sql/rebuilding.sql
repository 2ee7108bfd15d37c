-- name: aggregate
CREATE TEMP TABLE rebuilt AS
WITH event AS (
    SELECT coalesce(sent_application, application, '') AS application, device, ts, readings,
           date_trunc('hour', ts) AS hour,
           epoch_ms(ts) BETWEEN 946684800000 AND epoch_ms(arrival) + 86400000 AS plausible
    FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
), reading AS (
    SELECT application, device, hour, plausible,
           unnest(map_keys(readings)) AS parameter, unnest(map_values(readings)) AS value
    FROM event
)
SELECT CASE WHEN bool_or(plausible) THEN CAST(date_trunc('month', hour) AS DATE) ELSE DATE '1970-01-01' END AS month,
       application, device, parameter, hour, count(*)::BIGINT AS "count", sum(value) AS "sum",
       var_pop(value) * count(*) AS m2, min(value) AS "min", max(value) AS "max",
       $revision::INTEGER AS revision
FROM reading
GROUP BY application, device, parameter, hour

-- name: months
SELECT DISTINCT month FROM rebuilt ORDER BY month

-- name: rows
SELECT * EXCLUDE (month) FROM rebuilt WHERE month = $month ORDER BY application, device, parameter, hour
