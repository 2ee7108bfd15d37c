-- name: settled
SELECT through, trimmed, (SELECT letters FROM dropped) FROM settled

-- name: set_settled
UPDATE settled SET through = ?

-- name: add_dropped
UPDATE dropped SET letters = letters + ?

-- name: set_trimmed
UPDATE settled SET trimmed = ?

-- name: add_answer
INSERT INTO answer (tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  arrival_ms = excluded.arrival_ms, fingerprint = excluded.fingerprint,
  offsets = excluded.offsets, answer = excluded.answer, hash = excluded.hash

-- name: forget_answers
DELETE FROM answer WHERE (tenant, producer, sequence) IN (
  SELECT tenant, producer, sequence FROM answer WHERE arrival_ms < ? LIMIT ?
)

-- name: find_answer
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer WHERE tenant = ? AND producer = ? AND sequence = ?

-- name: answer_bytes
SELECT tenant, bytes FROM answer_room

-- name: answer_bytes_counted
SELECT tenant, bytes, (
  SELECT coalesce(sum(octet_length(tenant) + octet_length(producer) + octet_length(sequence)
    + length(fingerprint) + length(offsets) + length(answer) + 128), 0)
  FROM answer WHERE answer.tenant = answer_room.tenant
) FROM answer_room

-- name: add_dead_letter
INSERT OR REPLACE INTO dead_letter (id, tenant, arrival_ms, source, line, code, field, detail, body, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?

-- name: surplus
SELECT coalesce(max(id), 0) FROM (
  SELECT id, row_number() OVER newest AS letters, sum(length(body) + length(detail) + 256) OVER newest AS bytes
  FROM dead_letter WHERE tenant = ?
  WINDOW newest AS (ORDER BY id DESC)
) WHERE letters > ? OR bytes > ?

-- name: drop_dead_letters
DELETE FROM dead_letter WHERE id IN (
  SELECT id FROM dead_letter WHERE tenant = ? AND id <= ? ORDER BY id LIMIT ?
)

-- name: all_answers
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer

-- name: all_dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
