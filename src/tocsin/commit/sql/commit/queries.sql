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

-- name: episodes_of_devices
SELECT e.sequence, e.tenant, e.id, e.revision, e.payload, e.hash
FROM (
    SELECT n.sequence, n.id
    FROM json_each(:devices) AS d CROSS JOIN newest AS n INDEXED BY newest_by_device
    WHERE n.tenant = :tenant AND n.device = d.value AND n.id > :after_id
      AND (:to_ms IS NULL OR n.started_ms <= :to_ms)
      AND (:from_ms IS NULL OR n.end_ms IS NULL OR n.end_ms >= :from_ms)
    ORDER BY n.id LIMIT :limit
) CROSS JOIN episode AS e USING (sequence)
ORDER BY e.id

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

-- name: deal
INSERT OR IGNORE INTO dealt_dumps (tenant, device, epoch, sequence, dump, hash)
SELECT tenant, device, epoch, sequence, dump, row_hash(tenant, device, epoch, sequence, dump)
FROM ready_dumps WHERE number = :number AND partition = :partition AND kind <> 'resume'

-- name: add_dealt
INSERT OR IGNORE INTO dealt_dumps (tenant, device, epoch, sequence, dump, hash) VALUES (?, ?, ?, ?, ?, ?)

-- name: remove_ready
DELETE FROM ready_dumps WHERE number = :number AND partition = :partition RETURNING number

-- name: step_revision
SELECT revision FROM dump_steps WHERE tenant = ? AND device = ? AND detector = ?

-- name: put_step
INSERT INTO dump_steps (tenant, device, detector, revision, digest, facts, state_sha256, hash, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, device, detector) DO UPDATE SET
  revision = excluded.revision, digest = excluded.digest, facts = excluded.facts,
  state_sha256 = excluded.state_sha256, hash = excluded.hash, state = excluded.state

-- name: steps
SELECT tenant, device, detector, revision, digest, facts, state_sha256, hash, state FROM dump_steps
WHERE tenant = ? AND device = ? ORDER BY detector

-- name: step_facts
SELECT tenant, device, detector, revision, digest, facts, state_sha256, hash FROM dump_steps
WHERE tenant = ? ORDER BY device, detector

-- name: all_steps
SELECT tenant, device, detector, revision, digest, facts, state_sha256, hash, state FROM dump_steps

-- name: add_findings
INSERT INTO findings (tenant, device, detector, epoch, sequence, revision, judged, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: findings
SELECT tenant, device, detector, epoch, sequence, max(revision), judged, hash FROM findings
WHERE tenant = ? AND device = ? AND detector = ? AND (epoch, sequence) > (?, ?)
GROUP BY epoch, sequence ORDER BY epoch, sequence LIMIT ?

-- name: findings_of_dump
SELECT tenant, device, detector, epoch, sequence, revision, judged, hash FROM findings
WHERE tenant = ? AND device = ? AND detector = ? AND epoch = ? AND sequence = ? ORDER BY revision

-- name: all_findings
SELECT tenant, device, detector, epoch, sequence, revision, judged, hash FROM findings

-- name: next_tenant
SELECT min(tenant) FROM ready_dumps WHERE tenant > ?

-- name: ready_devices
WITH RECURSIVE found(device) AS (
  SELECT min(device) FROM ready_dumps WHERE tenant = :tenant AND device > :after
  UNION ALL
  SELECT (SELECT min(device) FROM ready_dumps WHERE tenant = :tenant AND device > found.device)
  FROM found WHERE found.device IS NOT NULL
  LIMIT :limit
)
SELECT device FROM found WHERE device IS NOT NULL

-- name: ready_of_device
SELECT number, partition, tenant, device, epoch, sequence, sha256, kind, dump, hash FROM ready_dumps
WHERE tenant = ? AND device = ? ORDER BY number LIMIT ?

-- name: ready_count
SELECT count(*) FROM ready_dumps

-- name: ready_count_of_tenant
SELECT count(*) FROM ready_dumps WHERE tenant = ?

-- name: dealt
SELECT tenant, device, epoch, sequence, dump, hash FROM dealt_dumps
WHERE tenant = ? AND device = ? AND (epoch, sequence) > (?, ?) ORDER BY epoch, sequence LIMIT ?

-- name: all_dealt
SELECT tenant, device, epoch, sequence, dump, hash FROM dealt_dumps

-- name: add_snapshot
INSERT INTO step_snapshots (tenant, device, detector, epoch, sequence, snapshot, hash)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: drop_snapshot
DELETE FROM step_snapshots
WHERE tenant = ? AND device = ? AND detector = ? AND epoch = ? AND sequence = ?

-- name: snapshot_places
SELECT epoch, sequence FROM step_snapshots
WHERE tenant = ? AND device = ? AND detector = ? ORDER BY epoch, sequence

-- name: snapshot
SELECT tenant, device, detector, epoch, sequence, snapshot, hash FROM step_snapshots
WHERE tenant = ? AND device = ? AND detector = ? AND (epoch, sequence) < (?, ?)
ORDER BY epoch DESC, sequence DESC LIMIT 1

-- name: all_snapshots
SELECT tenant, device, detector, epoch, sequence, snapshot, hash FROM step_snapshots
