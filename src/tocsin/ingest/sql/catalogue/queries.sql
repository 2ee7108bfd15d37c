-- name: add
INSERT INTO entry (payload, hash) VALUES (?, ?)
-- name: read
SELECT sequence, payload, hash FROM entry ORDER BY sequence
-- name: clear
DELETE FROM entry
