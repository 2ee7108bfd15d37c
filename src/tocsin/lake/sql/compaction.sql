-- Rows of the files in $files, which are all of one partition.

-- name: merge_hours
WITH part AS (
    SELECT *, sum("sum") OVER series / sum("count") OVER series AS grand_mean
    FROM read_parquet($files, hive_partitioning = false)
    WINDOW series AS (PARTITION BY application, device, parameter, hour)
)
SELECT application, device, parameter, hour,
       sum("count")::BIGINT AS "count",
       sum("sum") AS "sum",
       sum(m2 + "count" * pow("sum" / "count" - grand_mean, 2)) AS m2,
       min("min") AS "min",
       max("max") AS "max",
       max(revision) AS revision
FROM part
GROUP BY application, device, parameter, hour
ORDER BY application, device, parameter, hour

-- name: hash_hours
-- Sums differ in their last bits with the order of adding, so they are left out.
SELECT count(*)::BIGINT, sum(hash(key))::VARCHAR, sum(n)::VARCHAR
FROM (
    SELECT (application, device, parameter, hour, min("min"), max("max")) AS key, sum("count") AS n
    FROM read_parquet($files, hive_partitioning = false)
    GROUP BY application, device, parameter, hour
)

-- name: hash_events
SELECT count(*)::BIGINT, sum(hash((
    device, ts, arrival, readings, text, text_count, id, flags, log_partition, log_offset,
    coalesce(sent_application, application, ''), coalesce(sent_version, version, '')
)))::VARCHAR, ''
FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})

-- name: hash_rows
SELECT count(*)::BIGINT, sum(hash(line))::VARCHAR, ''
FROM read_parquet($files, hive_partitioning = false) AS line

-- name: choose_files
SET VARIABLE files = $files

-- name: view_overflow
-- The day is that of the partition in which a row may lie, null where its stamp names none.
CREATE TEMP VIEW overflow AS
SELECT *, CASE WHEN epoch_ms(ts) BETWEEN 946684800000 AND epoch_ms(arrival) + 86400000 THEN CAST(ts AS DATE) END AS day
FROM read_parquet(getvariable('files'), hive_partitioning = false)

-- name: settle_keys
SELECT sent_application, sent_version, day
FROM overflow
WHERE day IS NOT NULL
GROUP BY ALL
HAVING count(*) >= $rows_min
ORDER BY count(*) DESC, 1, 2, 3

-- name: make_settled
CREATE TEMP TABLE settled (sent_application VARCHAR, sent_version VARCHAR, day DATE)

-- name: settle
INSERT INTO settled VALUES ($application, $version, $date)

-- name: settled
SELECT * REPLACE (NULL::VARCHAR AS sent_application, NULL::VARCHAR AS sent_version)
FROM overflow
WHERE overflow.sent_application = $application AND overflow.sent_version = $version AND overflow.day = $date

-- name: count_rest
SELECT count(*) FROM overflow ANTI JOIN settled USING (sent_application, sent_version, day)

-- name: rest
SELECT * FROM overflow ANTI JOIN settled USING (sent_application, sent_version, day)
