-- name: offsets
SELECT log_partition, log_offset FROM read_parquet($files, hive_partitioning = false)
WHERE log_offset BETWEEN $first AND $last
