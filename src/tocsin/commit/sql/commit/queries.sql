-- name: partition
SELECT partition, epoch, position, totals, hash FROM partition WHERE partition = ?

-- name: partitions
SELECT partition, epoch, position, totals, hash FROM partition ORDER BY partition

-- name: put_partition
INSERT OR REPLACE INTO partition (partition, epoch, position, totals, hash) VALUES (?, ?, ?, ?, ?)

-- name: add_episode
INSERT INTO episode (tenant, id, revision, payload, hash, evidence, evidence_hash)
VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING sequence

-- name: point_to_newest
INSERT INTO newest (tenant, id, sequence, revision, device, started_ms, end_ms)
VALUES (:tenant, :id, :sequence, :revision, :device, :started_ms, :end_ms)
ON CONFLICT (tenant, id) DO UPDATE SET
  sequence = excluded.sequence,
  revision = excluded.revision,
  device = excluded.device,
  started_ms = excluded.started_ms,
  end_ms = excluded.end_ms
WHERE excluded.revision >= newest.revision

-- name: outbox
SELECT sequence, tenant, id, revision, payload, hash FROM episode
WHERE sequence > max(?, (SELECT pruned_through FROM outbox)) ORDER BY sequence LIMIT ?

-- name: waiting
SELECT count(*) FROM episode WHERE sequence > max(?, (SELECT pruned_through FROM outbox))

-- name: prune_outbox
UPDATE outbox SET pruned_through = max(pruned_through, ?)

-- name: newest_episode
SELECT sequence, tenant, id, revision, payload, hash, evidence, evidence_hash FROM episode
WHERE sequence = (SELECT sequence FROM newest WHERE tenant = ? AND id = ?)

-- name: revisions
SELECT sequence, tenant, id, revision, payload, hash, evidence, evidence_hash FROM episode
WHERE tenant = ? AND id = ? ORDER BY sequence

-- name: episodes
SELECT e.sequence, e.tenant, e.id, e.revision, e.payload, e.hash
FROM newest AS n CROSS JOIN episode AS e USING (sequence)
WHERE n.tenant = :tenant AND n.id > :after_id
  AND (:to_ms IS NULL OR n.started_ms <= :to_ms)
  AND (:from_ms IS NULL OR n.end_ms IS NULL OR n.end_ms >= :from_ms)
ORDER BY n.id LIMIT :limit

-- name: episodes_of_device
SELECT e.sequence, e.tenant, e.id, e.revision, e.payload, e.hash
FROM newest AS n CROSS JOIN episode AS e USING (sequence)
WHERE n.tenant = :tenant AND n.device = :device AND n.id > :after_id
  AND (:to_ms IS NULL OR n.started_ms <= :to_ms)
  AND (:from_ms IS NULL OR n.end_ms IS NULL OR n.end_ms >= :from_ms)
ORDER BY n.id LIMIT :limit

-- name: all_episodes
SELECT sequence, tenant, id, revision, payload, hash, evidence, evidence_hash FROM episode

-- name: add_ready_dump
INSERT INTO ready_dumps (partition, tenant, device, epoch, sequence, sha256, kind, dump, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: ready_dumps
SELECT number, partition, tenant, device, epoch, sequence, sha256, kind, dump, hash FROM ready_dumps
WHERE partition = ? AND number > ? ORDER BY number LIMIT ?

-- name: all_ready_dumps
SELECT number, partition, tenant, device, epoch, sequence, sha256, kind, dump, hash FROM ready_dumps
