-- name: anchor
SELECT sequence, chain FROM anchor
-- name: last
SELECT sequence, chain FROM entry ORDER BY sequence DESC LIMIT 1
-- name: add
INSERT INTO entry (sequence, tenant, at_ms, actor, action, object, outcome, address, detail, chain)
VALUES (:sequence, :tenant, :at_ms, :actor, :action, :object, :outcome, :address, :detail, :chain)
-- name: list
SELECT sequence, tenant, at_ms, actor, action, object, outcome, address, detail, chain FROM entry
WHERE tenant IN (:tenant, :also) AND sequence < :before ORDER BY sequence DESC LIMIT :limit
-- name: walk
SELECT sequence, tenant, at_ms, actor, action, object, outcome, address, detail, chain FROM entry
ORDER BY sequence
-- name: oldest_young_enough
SELECT sequence FROM entry WHERE at_ms >= :from_ms ORDER BY sequence LIMIT 1
-- name: chain_of
SELECT chain FROM entry WHERE sequence = :sequence
-- name: set_anchor
UPDATE anchor SET sequence = :sequence, chain = :chain
-- name: drop_through
DELETE FROM entry WHERE sequence <= :sequence
