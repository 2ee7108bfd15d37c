-- name: add
INSERT INTO maintenance (id, tenant, actor, key, settled, body)
VALUES (:id, :tenant, :actor, :key, :settled, :body)
-- name: put
UPDATE maintenance SET settled = :settled, body = :body WHERE id = :id
-- name: one
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
WHERE tenant = :tenant AND id = :id
-- name: of_key
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
WHERE tenant = :tenant AND actor = :actor AND key = :key AND key <> ''
-- name: page
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
WHERE tenant = :tenant AND number < :before ORDER BY number DESC LIMIT :limit
-- name: unsettled
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
WHERE settled = 0 AND number > :after ORDER BY number LIMIT :limit
-- name: unsettled_of
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
WHERE settled = 0 AND tenant = :tenant ORDER BY number LIMIT :limit
-- name: all
SELECT number, id, tenant, actor, key, settled, body, hash FROM maintenance
