-- name: describe
INSERT INTO segment (only, number, begins, first_dead_letter, created_ms, hash) VALUES (1, ?, ?, ?, ?, ?)

-- name: description
SELECT number, begins, first_dead_letter, created_ms, hash FROM segment

-- name: add_record
INSERT INTO record (partition, offset, count, kind, tenant, arrival_ms, hash, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_answer
INSERT OR REPLACE INTO answer (tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_dead_letter
INSERT INTO dead_letter (id, tenant, arrival_ms, source, line, code, field, detail, body, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: read_records
SELECT offset, count, kind, tenant, arrival_ms, hash, payload FROM record
WHERE partition = :partition AND offset >= (
  SELECT coalesce(max(offset), 0) FROM record WHERE partition = :partition AND offset <= :offset
)
ORDER BY offset

-- name: ends
SELECT partition, max(offset), count FROM record GROUP BY partition

-- name: newest_arrival
SELECT max(arrival_ms) FROM record

-- name: all_records
SELECT partition, offset, count, kind, tenant, arrival_ms, hash, payload FROM record ORDER BY partition, offset

-- name: size_bytes
SELECT (SELECT coalesce(sum(length(payload) + 256), 0) FROM record)
  + (SELECT coalesce(sum(length(body) + length(detail) + 256), 0) FROM dead_letter)

-- name: find_answer
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer WHERE tenant = ? AND producer = ? AND sequence = ?

-- name: answer_keys
SELECT tenant, producer, sequence FROM answer

-- name: answer_bytes
SELECT tenant, sum(octet_length(tenant) + octet_length(producer) + octet_length(sequence)
  + length(fingerprint) + length(offsets) + length(answer) + 128)
FROM answer GROUP BY tenant

-- name: answers_since
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer WHERE arrival_ms >= ?

-- name: last_dead_letter
SELECT max(id) FROM dead_letter

-- name: dead_letter_tenants
SELECT DISTINCT tenant FROM dead_letter

-- name: surplus
SELECT coalesce(max(id), 0) FROM (
  SELECT id, row_number() OVER newest AS letters, sum(length(body) + length(detail) + 256) OVER newest AS bytes
  FROM dead_letter WHERE tenant = ?
  WINDOW newest AS (ORDER BY id DESC)
) WHERE letters > ? OR bytes > ?

-- name: count_dead_letters
SELECT count(*) FROM dead_letter WHERE tenant = ? AND id <= ?

-- name: dead_letters_above
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
WHERE tenant = ? AND id > ? ORDER BY id

-- name: all_dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter ORDER BY id

-- name: dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?

-- name: all_answers
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer
