-- A hundred anomalies of each device, in the order in which they were opened, devices taking turns. The factor has
-- no divisor in common with the number of devices, so that neighbours in time are not neighbours in name. Only what
-- the list can read gets the hash that is checked when it is read: the rest is there for its weight.
WITH RECURSIVE
numbered (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbered WHERE i < :anomalies),
placed AS (SELECT i, i * 61631 % :devices AS device, (i - 1) / :devices AS turn FROM numbered),
judged AS (
    SELECT *, turn >= :anomalies / :devices - 10 OR device % 1000 = 0 AS unresolved,
           turn >= :anomalies / :devices - 1 AND device % 10 = 0 AS active,
           :now_ms - (:anomalies - i) * 3000 AS at_ms
    FROM placed
),
told AS (
    SELECT printf('an_%010x', i) AS id, 'default' AS tenant, 'pumps' AS application,
           printf('device-%06d', device) AS device, '["temperature"]' AS parameters,
           '["seasonal"]' AS detectors, 'warning' AS severity, iif(active, 'active', 'cleared') AS condition,
           at_ms AS started_ms, at_ms + 600000 AS last_abnormal_ms,
           iif(active, NULL, at_ms + 660000) AS cleared_ms, i AS updated_sequence, 2 AS version,
           0 AS recurrences,
           'temperature 93.2 °C is 12.1 °C above the 81.1 °C limit usual on Sundays at 14:00' AS explanation,
           1.8 AS peak_score, printf('["ep_%016x"]', i) AS episodes,
           iif(unresolved, 'open', 'resolved') AS handling, iif(unresolved, NULL, at_ms) AS seen_at_ms,
           NULL AS assignee, NULL AS snoozed_until_ms, iif(unresolved, NULL, at_ms) AS settled_ms,
           iif(unresolved, NULL, 'warning') AS settled_severity, NULL AS merged_into, unresolved
    FROM judged
)
INSERT INTO anomaly (
    id, tenant, application, device, parameters, detectors, severity, condition, started_ms, last_abnormal_ms,
    cleared_ms, updated_sequence, version, recurrences, explanation, peak_score, episodes, handling, seen_at_ms,
    assignee, snoozed_until_ms, settled_ms, settled_severity, merged_into, hash
)
SELECT
    id, tenant, application, device, parameters, detectors, severity, condition, started_ms, last_abnormal_ms,
    cleared_ms, updated_sequence, version, recurrences, explanation, peak_score, episodes, handling, seen_at_ms,
    assignee, snoozed_until_ms, settled_ms, settled_severity, merged_into,
    CASE WHEN unresolved THEN row_hash(
        id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
        last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation, peak_score, episodes,
        handling, seen_at_ms, assignee, snoozed_until_ms, settled_ms, settled_severity, merged_into
    ) ELSE zeroblob(16) END
FROM told
