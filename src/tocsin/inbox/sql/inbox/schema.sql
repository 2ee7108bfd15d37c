-- The newest revision of every episode, and the anomaly it was folded into.
-- `ends_ms` is the end, or a time that never comes while it lasts, so that one index finds overlaps.
-- `score` is NULL where the detector has none.
CREATE TABLE episode (
    tenant           TEXT NOT NULL,
    id               TEXT NOT NULL,
    anomaly_id       TEXT NOT NULL REFERENCES anomaly (id),
    application      TEXT NOT NULL,
    device           TEXT NOT NULL,
    parameter        TEXT NOT NULL,
    detector         TEXT NOT NULL,
    severity         INTEGER NOT NULL,
    started_ms       INTEGER NOT NULL,
    last_abnormal_ms INTEGER NOT NULL,
    ends_ms          INTEGER NOT NULL,
    score            REAL,
    explanation      TEXT NOT NULL,
    retracted        INTEGER NOT NULL,
    folded_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE INDEX episode_by_device ON episode (tenant, device, application, ends_ms);
CREATE INDEX episode_by_anomaly ON episode (anomaly_id, folded_at);

-- `parameters`, `detectors` and `episodes` are JSON arrays; the last three columns belong to people.
CREATE TABLE anomaly (
    id               TEXT NOT NULL PRIMARY KEY,
    tenant           TEXT NOT NULL,
    application      TEXT NOT NULL,
    device           TEXT NOT NULL,
    parameters       TEXT NOT NULL,
    detectors        TEXT NOT NULL,
    severity         TEXT NOT NULL,
    condition        TEXT NOT NULL CHECK (condition IN ('active', 'cleared')),
    started_ms       INTEGER NOT NULL,
    last_abnormal_ms INTEGER NOT NULL,
    cleared_ms       INTEGER,
    updated_sequence INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    recurrences      INTEGER NOT NULL,
    explanation      TEXT NOT NULL,
    peak_score       REAL NOT NULL,
    episodes         TEXT NOT NULL,
    handling         TEXT NOT NULL DEFAULT 'open'
                     CHECK (handling IN ('open', 'acknowledged', 'snoozed', 'resolved')),
    seen_at_ms       INTEGER,
    assignee         TEXT
) STRICT;

CREATE INDEX anomaly_by_change ON anomaly (tenant, updated_sequence);
CREATE INDEX anomaly_by_device ON anomaly (tenant, device, updated_sequence);

-- What happened, in order; never altered.
CREATE TABLE change (
    sequence   INTEGER PRIMARY KEY,
    anomaly_id TEXT NOT NULL REFERENCES anomaly (id),
    tenant     TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    detail     TEXT NOT NULL
) STRICT;

CREATE INDEX change_by_anomaly ON change (anomaly_id, sequence);
CREATE INDEX change_by_tenant ON change (tenant, sequence);

-- One row: the last outbox sequence that was folded in.
CREATE TABLE position (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL
) STRICT;

INSERT INTO position (only, sequence) VALUES (1, 0);

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

-- What is still to be done at each device: a technician's list reads it device by device.
CREATE INDEX anomaly_unresolved ON anomaly (tenant, device, updated_sequence)
WHERE handling <> 'resolved' AND merged_into IS NULL;
