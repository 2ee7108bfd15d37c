-- name: device_events
SELECT log_offset, epoch_us(ts) AS ts, flags, text, text_count, id,
       map_keys(readings) AS parameter, map_values(readings) AS value,
       coalesce(sent_application, application, '') AS application,
       coalesce(sent_version, version, '') AS version
FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
WHERE device = $device AND log_partition = $partition AND log_offset < $before
  AND ts BETWEEN make_timestamptz($first) AND make_timestamptz($last)
ORDER BY log_offset

-- name: events_of_devices
SELECT device, log_offset, epoch_us(ts) AS ts, flags, text, text_count, id,
       map_keys(readings) AS parameter, map_values(readings) AS value,
       coalesce(sent_application, application, '') AS application,
       coalesce(sent_version, version, '') AS version
FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
WHERE device BETWEEN list_min($devices) AND list_max($devices) AND list_contains($devices, device)
  AND log_partition = $partition AND log_offset < $before
ORDER BY list_position($devices, device), log_offset

-- name: sizes_of_devices
SELECT device, count(*) AS events
FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
WHERE device BETWEEN list_min($devices) AND list_max($devices) AND list_contains($devices, device)
  AND log_partition = $partition AND log_offset < $before
GROUP BY device

-- name: events_of_partition
SELECT device, log_offset, epoch_us(ts) AS ts, flags, text,
       text_count, id, map_keys(readings) AS parameter, map_values(readings) AS value,
       coalesce(sent_application, application, '') AS application,
       coalesce(sent_version, version, '') AS version
FROM read_parquet($files, hive_partitioning = true, hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
WHERE log_partition = $partition AND log_offset >= $first AND log_offset < $last
ORDER BY log_offset

-- name: controls_of_partition
SELECT log_offset, payload
FROM read_parquet($files, hive_partitioning = false)
WHERE log_partition = $partition AND log_offset >= $first AND log_offset < $last
ORDER BY log_offset

-- name: dump_records
SELECT log_offset, payload
FROM read_parquet($files, hive_partitioning = false)
WHERE log_partition = $partition AND log_offset >= $first AND log_offset < $last
  AND type IN ('dump', 'gap') AND contains(payload, $named)
ORDER BY log_offset
