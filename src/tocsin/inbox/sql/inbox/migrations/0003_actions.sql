
-- What people do. `snoozed_until_ms` is set while it is snoozed. `settled_ms` and `settled_severity`: what the
-- data said when it was resolved or snoozed; whatever is later or worse opens it again. `merged_into`: the
-- anomaly that has its episodes now.
ALTER TABLE anomaly ADD COLUMN snoozed_until_ms INTEGER;
ALTER TABLE anomaly ADD COLUMN settled_ms INTEGER;
ALTER TABLE anomaly ADD COLUMN settled_severity TEXT;
ALTER TABLE anomaly ADD COLUMN merged_into TEXT;
ALTER TABLE change ADD COLUMN action INTEGER;

CREATE INDEX anomaly_by_waking ON anomaly (snoozed_until_ms) WHERE snoozed_until_ms IS NOT NULL;

-- The records that are not episodes, in order; never altered. `position` is the outbox sequence that had been
-- folded in before, so that both logs together are one. `request` and `outcomes` are JSON; `key` is '' where
-- the request had none.
CREATE TABLE action (
    sequence INTEGER PRIMARY KEY,
    tenant   TEXT NOT NULL,
    actor    TEXT NOT NULL,
    key      TEXT NOT NULL,
    position INTEGER NOT NULL,
    request  TEXT NOT NULL,
    outcomes TEXT NOT NULL,
    hash     BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE UNIQUE INDEX action_by_key ON action (tenant, actor, key) WHERE key <> '';

DROP TRIGGER anomaly_hashed_on_insert;
DROP TRIGGER anomaly_hashed_on_update;
DROP TRIGGER change_hashed_on_insert;
DROP TRIGGER change_hashed_on_update;

-- A row that was damaged before stays one that does not match its hash.
UPDATE anomaly SET hash = row_hash(
        id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
        last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
        peak_score, episodes, handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms,
        settled_severity, merged_into
) WHERE hash IS row_hash(
        id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
        last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
        peak_score, episodes, handling, seen_at_ms, assignee
);
UPDATE change SET hash = row_hash(
        sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action
) WHERE hash IS row_hash(
        sequence, anomaly_id, tenant, at_ms, actor, kind, detail
);

CREATE TRIGGER anomaly_hashed_on_insert AFTER INSERT ON anomaly BEGIN
    UPDATE anomaly SET hash = row_hash(
        new.id, new.tenant, new.application, new.device, new.parameters, new.detectors, new.severity,
        new.condition, new.started_ms, new.last_abnormal_ms, new.cleared_ms, new.updated_sequence,
        new.version, new.recurrences, new.explanation, new.peak_score, new.episodes, new.handling,
        new.seen_at_ms, new.assignee, new.snoozed_until_ms, new.settled_ms, new.settled_severity,
        new.merged_into
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER anomaly_hashed_on_update AFTER UPDATE OF
    id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
    last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation, peak_score,
    episodes, handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms, settled_severity,
    merged_into
ON anomaly BEGIN
    UPDATE anomaly SET hash = row_hash(
        new.id, new.tenant, new.application, new.device, new.parameters, new.detectors, new.severity,
        new.condition, new.started_ms, new.last_abnormal_ms, new.cleared_ms, new.updated_sequence,
        new.version, new.recurrences, new.explanation, new.peak_score, new.episodes, new.handling,
        new.seen_at_ms, new.assignee, new.snoozed_until_ms, new.settled_ms, new.settled_severity,
        new.merged_into
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER change_hashed_on_insert AFTER INSERT ON change BEGIN
    UPDATE change SET hash = row_hash(
        new.sequence, new.anomaly_id, new.tenant, new.at_ms, new.actor, new.kind, new.detail, new.action
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER change_hashed_on_update AFTER UPDATE OF
    sequence, anomaly_id, tenant, at_ms, actor, kind, detail, action
ON change BEGIN
    UPDATE change SET hash = row_hash(
        new.sequence, new.anomaly_id, new.tenant, new.at_ms, new.actor, new.kind, new.detail, new.action
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER action_hashed_on_insert AFTER INSERT ON action BEGIN
    UPDATE action SET hash = row_hash(
        new.sequence, new.tenant, new.actor, new.key, new.position, new.request, new.outcomes
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER action_hashed_on_update AFTER UPDATE OF
    sequence, tenant, actor, key, position, request, outcomes
ON action BEGIN
    UPDATE action SET hash = row_hash(
        new.sequence, new.tenant, new.actor, new.key, new.position, new.request, new.outcomes
    ) WHERE rowid = new.rowid;
END;
