"""Bits that flip in files of the lake: whatever reads them says so, and no verdict changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.test_recovery import NEVER, QUICK, running, send, settled, stores_in
from tests.kit import events_of, fleet
from tests.lake_kit import NOW_MS, events, record, steady
from tests.unit.test_processor import late
from tocsin.clock import ManualClock, SystemClock
from tocsin.control import Settings, Tick, encode_control
from tocsin.errors import CorruptError
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.files import LakeFile
from tocsin.lake.query import whole_result
from tocsin.lake.rebuilding import rebuild_hours
from tocsin.lake.verifying import TRUSTED_MS
from tocsin.log.abstract import Record, RecordKind
from tocsin.runtimes.embedded.decisions import Decisions
from tocsin.runtimes.embedded.runtime import Stores


def flip(path: Path, byte: int, bit: int = 0) -> None:
    """Turn one bit of a file round."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def flip_in_values(lake: DeltaLake, entry: LakeFile) -> Path:
    """Turn a bit of the values of a file of events: every reader of Parquet goes on to read it."""
    path = lake.snapshot().path("events", entry)
    flip(path, len(path.read_bytes()) // 3)
    return path


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def lake(tmp_path: Path, clock: ManualClock) -> Iterator[DeltaLake]:
    """Two files of events and two of decisions."""
    lake = DeltaLake(tmp_path / "lake", clock)
    tick = encode_control(Tick(now_ms=NOW_MS))
    for offset in (0, 41):
        decision = Record(0, offset + 40, 1, RecordKind.CONTROL, "acme", NOW_MS, tick)
        lake.append([record(offset, events(steady(40))), decision])
    yield lake
    lake.close()


def _export(lake: DeltaLake, folder: Path) -> None:
    with whole_result("FROM events", lake=lake, log=None, tenant="acme", spill=folder) as rows:
        list(rows.batches)


READS: dict[str, Callable[[DeltaLake, Path], object]] = {
    "device": lambda lake, _: lake.device_events("acme", "d1", partition=0, before_offset=82),
    "devices": lambda lake, _: list(
        lake.events_of_devices("acme", ["d0", "d1"], partition=0, before_offset=82)
    ),
    "whole": lambda lake, _: lake.require_whole("acme", ["d1"], partition=0, before_offset=82),
    "records": lambda lake, _: lake.records(0, 0, 82),
    "hours": lambda lake, _: rebuild_hours(lake.store, "acme"),
    "export": _export,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("warm", [False, True], ids=["first", "read-before"])
def test_a_read_of_a_damaged_file_names_it(
    lake: DeltaLake, tmp_path: Path, read: Callable[[DeltaLake, Path], object], warm: bool
) -> None:
    """Nothing of it is used, also when it was in order the last time."""
    if warm:
        read(lake, tmp_path)
    path = flip_in_values(lake, lake.snapshot().files["events"][0])
    with pytest.raises(CorruptError, match=f"{path.name} does not match its hash.*tocsin lake repair"):
        read(lake, tmp_path)
    flip_in_values(lake, lake.snapshot().files["events"][0])
    read(lake, tmp_path)


def test_a_damaged_decision_is_not_replayed(lake: DeltaLake) -> None:
    """States that are built from the beginning read decisions too."""
    entry = lake.snapshot().files["control"][0]
    path = lake.snapshot().path("control", entry)
    flip(path, len(path.read_bytes()) // 2)
    with pytest.raises(CorruptError, match=path.name):
        lake.records(0, 0, 82)


def test_a_file_that_decays_without_a_write_is_found_the_next_day(
    lake: DeltaLake, clock: ManualClock
) -> None:
    """A disk does not change the time of a file when it loses a bit, so a comparison holds for a day."""
    lake.records(0, 0, 82)
    entry = lake.snapshot().files["events"][0]
    path = lake.snapshot().path("events", entry)
    stamps = path.stat()
    flip(path, 200)
    os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    lake.records(0, 0, 82)
    clock.sleep(TRUSTED_MS / 1000)
    with pytest.raises(CorruptError, match=path.name):
        lake.records(0, 0, 82)


def test_compaction_leaves_a_damaged_file_alone(lake: DeltaLake) -> None:
    """Merged, it would get a new hash that says it is in order."""
    damaged = lake.snapshot().files["events"][0]
    flip_in_values(lake, damaged)
    for offset in (82, 122):
        lake.append([record(offset, events(steady(40)))])
    merged = [done for done in compact(lake.store, CompactionPolicy(files_min=2)) if done.table == "events"]
    assert [(done.files_before, done.rows) for done in merged] == [(3, 120)]
    assert damaged in lake.snapshot().files["events"]


def _events_file(stores: Stores) -> Path:
    assert isinstance(stores.lake, DeltaLake)
    snapshot = stores.lake.snapshot()
    return snapshot.path("events", max(snapshot.files["events"], key=lambda entry: entry.size_bytes))


def test_corrections_wait_while_the_past_is_damaged(tmp_path: Path) -> None:
    """Everything else goes on; once the file is whole again, all ends as if nothing had happened."""
    rows = fleet(7, devices=8)
    disordered = late(rows, 7)
    with stores_in(tmp_path / "sound") as stores, running(stores, QUICK) as runtime:
        send(stores, events_of(disordered))
        expected = settled(runtime)
    pace = replace(QUICK, correction_s=3600)
    with stores_in(tmp_path / "damaged") as stores, running(stores, pace) as runtime:
        decisions = Decisions(
            stores.log, stores.lake, runtime.workers, lambda _: Settings(), lambda: ["t"], SystemClock()
        )
        send(stores, events_of(disordered))
        while not stores.lake.positions() or not runtime.caught_up():
            time.sleep(0.01)
        pending = runtime.views.digest("t").pending
        path = _events_file(stores)
        flip(path, 300)
        decisions.corrections()
        while not runtime.caught_up():
            assert runtime.failure is None
            time.sleep(0.01)
        assert runtime.views.digest("t").pending == pending > 0
        flip(path, 300)
        while runtime.views.digest("t").pending:
            decisions.corrections()
            time.sleep(0.02)
        found = settled(runtime)
    assert (found.digest_raw, found.digest_final) == (expected.digest_raw, expected.digest_final)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_state_is_not_rebuilt_from_damaged_files(tmp_path: Path) -> None:
    """A start without checkpoints needs the whole past: it names the file instead of judging by it."""
    rows = fleet(7, devices=8)
    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        send(stores, events_of(rows))
        settled(runtime)
        while stores.log.begin(0) == 0 or stores.log.begin(1) == 0:
            send(stores, events_of(rows[-8:]))
            settled(runtime)
            time.sleep(0.05)
    (tmp_path / "checkpoints.db").unlink()
    with stores_in(tmp_path) as stores:
        path = _events_file(stores)
        flip(path, 300)
        with pytest.raises(CorruptError, match=path.name), running(stores, NEVER):
            pass
