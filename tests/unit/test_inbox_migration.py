"""An inbox from before people could act: what it has stays readable, and what was damaged stays damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tocsin.errors import CorruptError
from tocsin.inbox.action import Action, ActionKind, Handling, Target
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.inbox.rows import SCRIPTS
from tocsin.storage.database import Tuning
from tocsin.storage.writer import Writer

ANOMALY = """
INSERT INTO anomaly (id, tenant, application, device, parameters, detectors, severity, condition, started_ms,
                     last_abnormal_ms, cleared_ms, updated_sequence, version, recurrences, explanation,
                     peak_score, episodes)
VALUES (:id, 'a', 'hvac', 'pump-7', '["t"]', '["seasonal"]', 'warning', 'cleared', 1, 2, 3, :sequence, 1, 0,
        'high', 2.0, '["e1"]')
"""
CHANGE = """
INSERT INTO change (sequence, anomaly_id, tenant, at_ms, actor, kind, detail)
VALUES (:sequence, :id, 'a', 5, 'tocsin', 'opened', 'high')
"""


def test_what_was_stored_before_can_be_acted_on(tmp_path: Path) -> None:
    """Anomalies and history are the same after the migration; a damaged one is not made good by it."""
    path = tmp_path / "inbox.db"
    old = Writer(path, replace(SCRIPTS, migrations=SCRIPTS.migrations[:2]), Tuning())
    with old.transaction() as writer:
        for sequence, name in enumerate(("an_good", "an_bad"), start=1):
            writer.execute(ANOMALY, {"id": name, "sequence": sequence})
            writer.execute(CHANGE, {"id": name, "sequence": sequence})
        writer.execute("UPDATE anomaly SET hash = x'00' WHERE id = 'an_bad'")
        writer.execute("UPDATE change SET hash = x'00' WHERE sequence = 2")
    old.close()

    inbox = EmbeddedInbox(path)
    good = inbox.anomaly("a", "an_good")
    assert good is not None
    assert (good.handling, good.seen_at_ms, good.snoozed_until_ms, good.version) == (
        Handling.OPEN,
        None,
        None,
        1,
    )
    assert [change.action for change in inbox.history("a", "an_good")] == [None]
    for read in (lambda: inbox.anomaly("a", "an_bad"), lambda: inbox.history("a", "an_bad")):
        with pytest.raises(CorruptError):
            read()
    target = Target(id="an_good", version=1)
    inbox.act(Action(kind=ActionKind.RESOLVE, tenant="a", actor="m", at_ms=9, targets=(target,)))
    resolved = inbox.anomaly("a", "an_good")
    assert resolved is not None
    assert resolved.handling is Handling.RESOLVED
    assert len(inbox.verify()) == 2
    inbox.close()
