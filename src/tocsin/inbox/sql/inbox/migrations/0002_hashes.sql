
-- A hash in every row, whatever way it was changed.
ALTER TABLE episode ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE anomaly ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE change ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

UPDATE episode SET hash = row_hash(
        tenant, id, anomaly_id, application, device, parameter, detector, severity, started_ms,
        last_abnormal_ms, ends_ms, score, explanation, retracted, folded_at
);
UPDATE anomaly SET hash = row_hash(
        id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
        last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
        peak_score, episodes, handling, seen_at_ms, assignee
);
UPDATE change SET hash = row_hash(
        sequence, anomaly_id, tenant, at_ms, actor, kind, detail
);

CREATE TRIGGER episode_hashed_on_insert AFTER INSERT ON episode BEGIN
    UPDATE episode SET hash = row_hash(
        new.tenant, new.id, new.anomaly_id, new.application, new.device, new.parameter,
        new.detector, new.severity, new.started_ms, new.last_abnormal_ms, new.ends_ms, new.score,
        new.explanation, new.retracted, new.folded_at
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER episode_hashed_on_update AFTER UPDATE OF
    tenant, id, anomaly_id, application, device, parameter, detector, severity, started_ms,
    last_abnormal_ms, ends_ms, score, explanation, retracted, folded_at
ON episode BEGIN
    UPDATE episode SET hash = row_hash(
        new.tenant, new.id, new.anomaly_id, new.application, new.device, new.parameter,
        new.detector, new.severity, new.started_ms, new.last_abnormal_ms, new.ends_ms, new.score,
        new.explanation, new.retracted, new.folded_at
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER anomaly_hashed_on_insert AFTER INSERT ON anomaly BEGIN
    UPDATE anomaly SET hash = row_hash(
        new.id, new.tenant, new.application, new.device, new.parameters, new.detectors,
        new.severity, new.condition, new.started_ms, new.last_abnormal_ms, new.cleared_ms,
        new.updated_sequence, new.version, new.recurrences, new.explanation, new.peak_score,
        new.episodes, new.handling, new.seen_at_ms, new.assignee
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER anomaly_hashed_on_update AFTER UPDATE OF
    id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
    last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation, peak_score,
    episodes, handling, seen_at_ms, assignee
ON anomaly BEGIN
    UPDATE anomaly SET hash = row_hash(
        new.id, new.tenant, new.application, new.device, new.parameters, new.detectors,
        new.severity, new.condition, new.started_ms, new.last_abnormal_ms, new.cleared_ms,
        new.updated_sequence, new.version, new.recurrences, new.explanation, new.peak_score,
        new.episodes, new.handling, new.seen_at_ms, new.assignee
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER change_hashed_on_insert AFTER INSERT ON change BEGIN
    UPDATE change SET hash = row_hash(
        new.sequence, new.anomaly_id, new.tenant, new.at_ms, new.actor, new.kind, new.detail
    ) WHERE rowid = new.rowid;
END;

CREATE TRIGGER change_hashed_on_update AFTER UPDATE OF
    sequence, anomaly_id, tenant, at_ms, actor, kind, detail
ON change BEGIN
    UPDATE change SET hash = row_hash(
        new.sequence, new.anomaly_id, new.tenant, new.at_ms, new.actor, new.kind, new.detail
    ) WHERE rowid = new.rowid;
END;
