-- name: put
INSERT OR REPLACE INTO chunk (shard, position, hash, payload) VALUES (?, ?, ?, ?)

-- name: shards
SELECT shard FROM chunk ORDER BY shard

-- name: chunk
SELECT shard, position, hash, payload FROM chunk WHERE shard = ?

-- name: discard
DELETE FROM chunk WHERE shard = ?

-- name: all_chunks
SELECT shard, position, hash, payload FROM chunk
