-- name: position
SELECT sequence FROM position
-- name: advance
UPDATE position SET sequence = :sequence
-- name: anomaly_of_episode
SELECT anomaly_id FROM episode WHERE tenant = :tenant AND id = :id
-- name: near
SELECT anomaly_id, parameter, started_ms, ends_ms
FROM episode
WHERE tenant = :tenant AND device = :device AND application = :application
  AND ends_ms >= :from_ms AND started_ms <= :to_ms AND NOT retracted
ORDER BY ends_ms DESC, id
LIMIT :limit
-- name: put_episode
INSERT INTO episode (tenant, id, anomaly_id, application, device, parameter, detector, severity,
                     started_ms, last_abnormal_ms, ends_ms, score, explanation, retracted, folded_at)
VALUES (:tenant, :id, :anomaly_id, :application, :device, :parameter, :detector, :severity,
        :started_ms, :last_abnormal_ms, :ends_ms, :score, :explanation, :retracted, :folded_at)
ON CONFLICT DO UPDATE SET
    severity = excluded.severity, started_ms = excluded.started_ms,
    last_abnormal_ms = excluded.last_abnormal_ms, ends_ms = excluded.ends_ms, score = excluded.score,
    explanation = excluded.explanation, retracted = excluded.retracted
-- name: valid_episodes
SELECT count(*) FROM episode WHERE anomaly_id = :anomaly_id AND NOT retracted
-- name: span
SELECT count(*), min(started_ms), max(last_abnormal_ms), max(ends_ms), max(severity), max(score)
FROM episode WHERE anomaly_id = :anomaly_id AND retracted = :retracted
-- name: strongest
SELECT parameter, explanation FROM episode
WHERE anomaly_id = :anomaly_id AND retracted = :retracted
ORDER BY severity DESC, score DESC NULLS LAST, ends_ms DESC, started_ms, id
LIMIT 1
-- name: parameters
SELECT DISTINCT parameter FROM episode
WHERE anomaly_id = :anomaly_id AND retracted = :retracted AND parameter <> ''
ORDER BY parameter
-- name: detectors
SELECT DISTINCT detector FROM episode
WHERE anomaly_id = :anomaly_id AND retracted = :retracted
ORDER BY detector
-- name: newest_episodes
SELECT id FROM episode
WHERE anomaly_id = :anomaly_id AND retracted = :retracted
ORDER BY folded_at DESC
LIMIT :limit
-- name: episodes_of
SELECT id FROM episode WHERE anomaly_id = :anomaly_id ORDER BY folded_at
-- name: move_episodes
UPDATE episode SET anomaly_id = :target
WHERE tenant = :tenant AND anomaly_id = :source AND id IN (SELECT value FROM json_each(:names))
-- name: put_anomaly
INSERT INTO anomaly (id, tenant, application, device, parameters, detectors, severity, condition,
                     handling, started_ms, last_abnormal_ms, cleared_ms, updated_sequence, version,
                     recurrences, explanation, peak_score, episodes, seen_at_ms, snoozed_until_ms,
                     assignee, merged_into, settled_ms, settled_severity)
VALUES (:id, :tenant, :application, :device, :parameters, :detectors, :severity, :condition,
        :handling, :started_ms, :last_abnormal_ms, :cleared_ms, :updated_sequence, :version,
        :recurrences, :explanation, :peak_score, :episodes, :seen_at_ms, :snoozed_until_ms,
        :assignee, :merged_into, :settled_ms, :settled_severity)
ON CONFLICT DO UPDATE SET
    parameters = excluded.parameters, detectors = excluded.detectors, severity = excluded.severity,
    condition = excluded.condition, started_ms = excluded.started_ms,
    last_abnormal_ms = excluded.last_abnormal_ms, cleared_ms = excluded.cleared_ms,
    updated_sequence = excluded.updated_sequence, version = excluded.version,
    recurrences = excluded.recurrences, explanation = excluded.explanation,
    peak_score = excluded.peak_score, episodes = excluded.episodes, handling = excluded.handling,
    seen_at_ms = excluded.seen_at_ms, snoozed_until_ms = excluded.snoozed_until_ms,
    assignee = excluded.assignee, merged_into = excluded.merged_into, settled_ms = excluded.settled_ms,
    settled_severity = excluded.settled_severity
-- name: add_change
INSERT INTO change (sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action)
VALUES (:sequence, :anomaly_id, :tenant, :at_ms, :actor, :kind, :detail, :action)
-- name: last_change
SELECT coalesce(max(sequence), 0) FROM change
-- part: anomalies
SELECT id, tenant, application, device, parameters, detectors, severity, condition, handling,
       started_ms, last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
       peak_score, episodes, seen_at_ms, snoozed_until_ms, assignee, merged_into, settled_ms,
       settled_severity, hash IS row_hash(
          id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
          last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
          peak_score, episodes, handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms,
          settled_severity, merged_into)
-- part: hashed
       anomaly.id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
       last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
       peak_score, episodes, handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms,
       settled_severity, merged_into
-- part: unresolved_of_devices
FROM (
  SELECT a.rowid AS row
  FROM json_each(:devices) AS d CROSS JOIN anomaly AS a INDEXED BY anomaly_unresolved
  WHERE a.tenant = :tenant AND a.device = d.value AND a.updated_sequence < :before
    AND a.handling <> 'resolved' AND a.merged_into IS NULL
  ORDER BY a.updated_sequence DESC LIMIT :limit
) AS newest CROSS JOIN anomaly ON anomaly.rowid = newest.row
-- part: filters
  AND (:application IS NULL OR application = :application)
  AND (:severity IS NULL OR severity = :severity)
  AND (:condition IS NULL OR condition = :condition)
  AND merged_into IS NULL
  AND (:handling IS NULL OR handling = :handling)
  AND (:unresolved IS NULL OR (handling <> 'resolved') = :unresolved)
  AND (:seen IS NULL OR (seen_at_ms IS NOT NULL) = :seen)
  AND (:assignee IS NULL OR assignee = :assignee)
  AND (:from_ms IS NULL OR cleared_ms IS NULL OR cleared_ms >= :from_ms)
  AND (:to_ms IS NULL OR started_ms <= :to_ms)
  AND (:parameter IS NULL OR EXISTS (SELECT 1 FROM json_each(parameters) WHERE value = :parameter))
-- name: anomaly
-- with: anomalies
FROM anomaly WHERE id = :id AND tenant = :tenant
-- name: page
-- with: anomalies
FROM anomaly
WHERE tenant = :tenant AND updated_sequence < :before_sequence
-- with: filters
ORDER BY updated_sequence DESC
LIMIT :limit
-- name: page_of_device
-- with: anomalies
FROM anomaly
WHERE tenant = :tenant AND device = :device AND updated_sequence < :before_sequence
-- with: filters
ORDER BY updated_sequence DESC
LIMIT :limit
-- name: unresolved_of_devices
SELECT
-- with: hashed
     , hash
-- with: unresolved_of_devices
ORDER BY updated_sequence DESC
-- name: unresolved_of_devices_at_once
SELECT CAST(json_group_array(json_array(
-- with: hashed
     , hex(hash)) ORDER BY updated_sequence DESC) AS BLOB)
-- with: unresolved_of_devices
-- name: all_of_device
SELECT updated_sequence, rowid FROM anomaly INDEXED BY anomaly_by_device
WHERE tenant = :tenant AND device = :device AND updated_sequence < :before AND updated_sequence > :above
  AND merged_into IS NULL
ORDER BY updated_sequence DESC LIMIT :limit
-- name: some_of_device
SELECT updated_sequence, rowid FROM anomaly INDEXED BY anomaly_by_device
WHERE tenant = :tenant AND device = :device AND updated_sequence < :before AND updated_sequence > :above
-- with: filters
ORDER BY updated_sequence DESC LIMIT :limit
-- name: anomalies_at
SELECT
-- with: hashed
     , hash
FROM json_each(:rows) AS wanted CROSS JOIN anomaly ON anomaly.rowid = wanted.value
ORDER BY updated_sequence DESC
-- name: history
SELECT sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action, hash FROM change
WHERE anomaly_id = :id AND tenant = :tenant ORDER BY sequence
-- name: changes
SELECT sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action, hash FROM change
WHERE sequence > :after ORDER BY sequence LIMIT :limit
-- name: changes_of_tenant
SELECT sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action, hash FROM change
WHERE tenant = :tenant AND sequence > :after ORDER BY sequence LIMIT :limit
-- name: changes_of_devices
SELECT c.sequence, c.anomaly_id, c.tenant, c.at_ms, c.actor, c.kind, c.detail, c.action, c.hash
FROM json_each(:devices) AS d
CROSS JOIN anomaly AS a INDEXED BY anomaly_by_device
CROSS JOIN change AS c INDEXED BY change_by_anomaly
WHERE a.tenant = :tenant AND a.device = d.value AND a.updated_sequence > :after
  AND c.anomaly_id = a.id AND c.sequence > :after
ORDER BY c.sequence LIMIT :limit
-- name: history_from
SELECT sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action, hash FROM change
WHERE anomaly_id = :id AND tenant = :tenant ORDER BY sequence LIMIT :limit OFFSET :version
-- name: add_action
INSERT INTO action (sequence, tenant, actor, key, position, request, outcomes)
VALUES (:sequence, :tenant, :actor, :key, :position, :request, :outcomes)
-- name: last_action
SELECT coalesce(max(sequence), 0) FROM action
-- name: action_of_key
SELECT sequence, tenant, actor, key, position, request, outcomes, hash FROM action
WHERE tenant = :tenant AND actor = :actor AND key = :key AND key <> ''
-- name: action
SELECT sequence, tenant, actor, key, position, request, outcomes, hash FROM action
WHERE sequence = :sequence AND tenant = :tenant
-- name: actions
SELECT sequence, tenant, actor, key, position, request, outcomes, hash FROM action
WHERE sequence > :after ORDER BY sequence LIMIT :limit
-- name: due
SELECT tenant, id FROM anomaly
WHERE snoozed_until_ms <= :now_ms AND merged_into IS NULL ORDER BY snoozed_until_ms, id LIMIT :limit
-- name: all_actions
SELECT sequence, tenant, actor, key, position, request, outcomes, hash
FROM action
-- name: all_episodes
SELECT tenant, id, anomaly_id, application, device, parameter, detector, severity, started_ms,
       last_abnormal_ms, ends_ms, score, explanation, retracted, folded_at, hash
FROM episode
-- name: all_anomalies
SELECT id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
       last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
       peak_score, episodes, handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms,
       settled_severity, merged_into, hash
FROM anomaly
-- name: all_changes
SELECT sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action, hash
FROM change
