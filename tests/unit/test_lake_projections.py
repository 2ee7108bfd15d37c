"""Episodes and dead letters as tables of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lake_kit import NOW_MS, open_lake
from tocsin.commit.abstract import OutboxRow
from tocsin.lake.delta import DeltaLake
from tocsin.lake.projections import append_dead_letters, append_episodes
from tocsin.lake.query import query
from tocsin.log.abstract import DeadLetter, StoredDeadLetter
from tocsin.model import Episode, Severity


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[DeltaLake]:
    """An empty lake."""
    lake = open_lake(tmp_path / "lake")
    yield lake
    lake.close()


def row(sequence: int, *, end_ms: int | None = None, tenant: str = "acme", suppressed: str = "") -> OutboxRow:
    """An outbox row with a state of one episode."""
    episode = Episode(
        id="e1",
        tenant=tenant,
        application="pumps",
        version="1.0",
        device="d",
        parameter="t",
        detector="seasonal",
        reason="high",
        severity=Severity.WARNING,
        started_ms=NOW_MS,
        opened_ms=NOW_MS,
        end_ms=end_ms,
        last_abnormal_ms=NOW_MS,
        peak_ms=NOW_MS,
        readings=3,
        value=2.0,
        expected=1.0,
        lower=float("nan"),
        upper=1.5,
        score=1.25,
        explanation="too high",
        revision=sequence,
        suppressed=suppressed,
    )
    return OutboxRow(sequence, episode)


def test_what_maintenance_keeps_back_is_not_counted(lake: DeltaLake) -> None:
    """Whoever leaves out what is retracted leaves it out too, and its sentence says why."""
    append_episodes(lake.store, [row(1, suppressed="mw_1")])
    sql = "SELECT retracted, explanation FROM episodes"
    (found,) = query(sql, lake=lake, log=None, tenant="acme").to_pylist()
    assert found["retracted"]
    assert found["explanation"].startswith("kept back by maintenance mw_1: ")


def test_episodes_are_stored_once_with_all_states(lake: DeltaLake) -> None:
    """Offering rows again adds nothing; later states join; an episode that lasts has no end."""
    assert append_episodes(lake.store, [row(1), row(2, tenant="other")]) == 2
    assert append_episodes(lake.store, [row(1), row(2, tenant="other"), row(5, end_ms=NOW_MS + 1)]) == 1
    assert append_episodes(lake.store, []) == 0
    sql = "SELECT sequence, epoch_ms(ended) AS ended, severity, isnan(lower) AS open FROM episodes ORDER BY 1"
    found = query(sql, lake=lake, log=None, tenant="acme").to_pylist()
    assert found == [
        {"sequence": 1, "ended": None, "severity": "warning", "open": True},
        {"sequence": 5, "ended": NOW_MS + 1, "severity": "warning", "open": True},
    ]


def test_dead_letters_are_stored_once_with_their_bytes(lake: DeltaLake) -> None:
    """Refused lines keep their bytes, whatever they are."""
    letter = DeadLetter("acme", NOW_MS, "http", 3, "bad_utf8", "", "not UTF-8", b"\xff\x00")
    assert append_dead_letters(lake.store, [StoredDeadLetter(4, letter)]) == 1
    assert append_dead_letters(lake.store, [StoredDeadLetter(4, letter), StoredDeadLetter(6, letter)]) == 1
    found = query("SELECT id, body, line FROM dead_letters ORDER BY id", lake=lake, log=None, tenant="acme")
    assert found.to_pylist() == [{"id": at, "body": b"\xff\x00", "line": 3} for at in (4, 6)]
