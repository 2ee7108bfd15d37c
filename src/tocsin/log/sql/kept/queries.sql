-- name: settled
SELECT through, trimmed FROM settled

-- name: set_settled
UPDATE settled SET through = ?

-- name: set_trimmed
UPDATE settled SET trimmed = ?

-- name: add_answer
INSERT OR REPLACE INTO answer (tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: forget_answers
DELETE FROM answer WHERE arrival_ms < ?

-- name: find_answer
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer WHERE tenant = ? AND producer = ? AND sequence = ?

-- name: add_dead_letter
INSERT OR REPLACE INTO dead_letter (id, tenant, arrival_ms, source, line, code, field, detail, body, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?

-- name: all_answers
SELECT tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer, hash FROM answer

-- name: all_dead_letters
SELECT id, tenant, arrival_ms, source, line, code, field, detail, body, hash FROM dead_letter
