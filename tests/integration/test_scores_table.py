"""The table of scores: what was given first, what corrections gave, and nothing twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.integration.test_recovery import NEVER, QUICK, running, send, settled, stores_in
from tests.kit import LogHistory, Row, events_of, fleet, log_of
from tests.unit.test_processor import late
from tocsin.clock import ManualClock
from tocsin.control import Correct, Settings, SettingsChanged
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import query
from tocsin.lake.schemas import SCORES
from tocsin.lake.scores import ScoreIntake
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState
from tocsin.runtimes.embedded.runtime import Stores
from tocsin.runtimes.embedded.scored import Keep, scored_of

NEWEST = (
    "SELECT device, parameter, ts, detector, verdict, score, value, expected, lower, upper FROM scores "
    "ORDER BY ALL"
)


def take_in(stores: Stores) -> ScoreIntake:
    """The intake into the stores' lake, by a clock at which no stamp is in the future."""
    assert isinstance(stores.lake, DeltaLake)
    return ScoreIntake(stores.lake.store, stores.findings, ManualClock(1_900_000_000_000))


def ask(stores: Stores, sql: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    assert isinstance(stores.lake, DeltaLake)
    found: list[dict[str, Any]] = query(sql, lake=stores.lake, log=stores.log, tenant="t").to_pylist()
    return found


def scores_of(folder: Path, rows: Sequence[Row], keep: Keep) -> list[dict[str, Any]]:
    """The newest scores after a run over these rows, corrections included."""
    with stores_in(folder) as stores, running(stores, QUICK, keep_scores=lambda _: keep) as runtime:
        for at in range(0, len(rows), 40):
            send(stores, events_of(rows[at : at + 40]))
        settled(runtime)
        take_in(stores).take_in()
        return ask(stores, NEWEST)


def test_corrected_scores_equal_those_of_ordered_records(tmp_path: Path) -> None:
    """After corrections the view gives what the same readings give in order of time; all, or the abnormal."""
    rows = fleet(7, devices=4, steps=200)
    ordered = scores_of(tmp_path / "ordered", rows, "all")
    assert scores_of(tmp_path / "late", late(rows, 7), "all") == ordered
    abnormal = [row for row in ordered if row["verdict"] == "abnormal"]
    assert scores_of(tmp_path / "abnormal", late(rows, 7), "abnormal") == abnormal
    assert {row["detector"] for row in ordered} == {"seasonal", "health"}
    assert 0 < len(abnormal) < len(ordered)


def test_earlier_scores_stay_in_the_table(tmp_path: Path) -> None:
    """What a correction supersedes is still in the table's files, under an older revision."""
    rows = late(fleet(7, devices=4, steps=200), 7)
    with stores_in(tmp_path) as stores, running(stores, QUICK, keep_scores=lambda _: "all") as runtime:
        for at in range(0, len(rows), 40):
            send(stores, events_of(rows[at : at + 40]))
        settled(runtime)
        take_in(stores).take_in()
        assert isinstance(stores.lake, DeltaLake)
        snapshot = stores.lake.snapshot()
        stored = sum(entry.rows for entry in snapshot.files[SCORES.name])
        assert len(ask(stores, NEWEST)) < stored
        assert ask(stores, "SELECT count(DISTINCT revision) > 1 AS some FROM scores") == [{"some": True}]


def test_a_crash_between_append_and_forgetting_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that the lake has, but that still wait, are not appended again, now or after a restart."""
    with stores_in(tmp_path) as stores:
        with running(stores, NEVER, keep_scores=lambda _: "all") as runtime:
            send(stores, events_of(fleet(5, devices=2, steps=50)))
            while not runtime.caught_up():
                pass
        with monkeypatch.context() as patched:
            patched.setattr(stores.findings, "forget_scored", fail)
            with pytest.raises(RuntimeError):
                take_in(stores).take_in()
        once = ask(stores, NEWEST)
        take_in(stores).take_in()
        assert ask(stores, NEWEST) == once
        assert not stores.findings.scored(0, bytes_max=1)
    with stores_in(tmp_path) as stores:
        take_in(stores).take_in()
        assert ask(stores, NEWEST) == once
    assert once


def fail(_: int) -> None:
    raise RuntimeError


@pytest.mark.parametrize("keep", ["all", "abnormal"])
def test_a_replay_cut_elsewhere_gives_what_is_missing(keep: Keep) -> None:
    """Scores up to any position, and those of a replay from the beginning beyond it, are all scores once."""
    contents = [SettingsChanged(tenant="t", effective_ms=0, settings=Settings())]
    rows = late(fleet(5, devices=3, steps=120), 5)
    batches = [events_of(rows[at : at + 25]) for at in range(0, len(rows), 25)]
    middle = len(batches) // 2
    devices = tuple(sorted({row[0] for row in rows}))
    records = log_of([*contents, *batches[:middle], Correct(tenant="t", devices=devices), *batches[middle:]])

    def scored(cuts: Sequence[int], stop: int, after: int = 0) -> list[pa.Table]:
        state, history, found = PartitionState(0), LogHistory(records), []
        for first, last in zip([0, *cuts], [*cuts, stop], strict=True):
            output = process(records[first:last], state, history)
            found += scored_of(0, output, lambda _: keep, after)
        return [pa.ipc.open_stream(part.payload).read_all() for part in found]

    whole = canonical(scored([], len(records)))
    for seed in range(6):
        rng = random.Random(seed)
        first, stop = sorted(rng.sample(range(1, len(records)), 2))
        before = scored([first], stop)
        other = sorted(rng.sample(range(1, len(records)), 2))
        beyond = scored(other, len(records), records[stop].offset)
        assert canonical([*before, *beyond]) == whole
    assert whole


def canonical(tables: Sequence[pa.Table]) -> list[str]:
    """All rows in an order of their own."""
    return sorted(str(row) for table in tables for row in table.to_pylist())
