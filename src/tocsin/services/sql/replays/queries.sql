-- name: mark
INSERT INTO replay (tenant, letter, replayed_ms) VALUES (:tenant, :letter, :replayed_ms) ON CONFLICT DO NOTHING
-- name: marked
SELECT letter, replayed_ms FROM replay WHERE tenant = :tenant AND letter BETWEEN :first AND :last
