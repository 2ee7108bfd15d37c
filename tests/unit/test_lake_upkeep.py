"""Compaction, checking and vacuum: files change, rows never do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from tests.lake_kit import HOUR_MS, NOW_MS, events, record, steady
from tocsin.clock import ManualClock
from tocsin.errors import CorruptError
from tocsin.lake import compaction, verifying
from tocsin.lake.compaction import Compacted, CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.files import FRESH, FileWriter, LakeFile
from tocsin.lake.quarantine import quarantined
from tocsin.lake.query import query
from tocsin.lake.schemas import EVENTS, TableSpec
from tocsin.lake.store import LakeStore
from tocsin.lake.upkeep import check, inspect, vacuum, write_down

EAGER = CompactionPolicy(files_min=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def lake(tmp_path: Path, clock: ManualClock) -> Iterator[DeltaLake]:
    """A lake of five appends that go back and forth in time."""
    lake = DeltaLake(tmp_path / "lake", clock)
    for number in range(5):
        start_ms = NOW_MS - (number * 7 % 5 + 1) * HOUR_MS
        lake.append([record(number * 40, events(steady(40, start_ms=start_ms)))])
    yield lake
    lake.close()


def everything(lake: DeltaLake) -> list[Any]:
    """All events by offset."""
    found = query("SELECT * FROM events ORDER BY log_offset", lake=lake, log=None, tenant="acme")
    return list(found.to_pylist())


def test_compacted_files_are_clustered(lake: DeltaLake) -> None:
    """Rows are the same, by hour and device; doing it again finds nothing to do."""
    before = everything(lake)
    done = list(compact(lake.store, EAGER))
    assert [step.rows for step in done if step.table == "events"] == [200]
    assert everything(lake) == before
    for entry in lake.snapshot().files["events"]:
        path = str(lake.snapshot().path("events", entry))
        stored = pl.read_parquet(path).select(pl.col("ts").dt.truncate("1h"), "device", "log_offset")
        assert stored.rows() == sorted(stored.rows())
    assert list(compact(lake.store, EAGER)) == []


def test_compaction_that_would_change_a_row_changes_nothing(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the rows written differ from the rows read, the table stays as it is."""
    before = everything(lake)
    genuine = compaction._sorted
    monkeypatch.setattr(compaction, "_sorted", lambda *args: genuine(*args) + " LIMIT 199")
    with pytest.raises(CorruptError, match="nothing was changed"):
        list(compact(lake.store, EAGER))
    assert everything(lake) == before


def test_compaction_beside_appends(lake: DeltaLake) -> None:
    """Appends between the steps of a compaction are kept, and the position is theirs."""
    steps = compact(lake.store, EAGER)
    next(steps)
    lake.append([record(200, events(steady(40)))])
    list(steps)
    assert [row["log_offset"] for row in everything(lake)] == list(range(240))
    assert dict(lake.positions()) == {0: 240}


def long_texts(folder: Path, *, files: int, rows: int) -> DeltaLake:
    """A lake whose rows have a text of a megabyte each."""
    lake = DeltaLake(folder, ManualClock(NOW_MS))
    for number in range(files):
        texts = [
            (f"d{row}", NOW_MS - HOUR_MS + number, {"t": 1.0}, f"{number % 10}" * 1_000_000)
            for row in range(rows)
        ]
        lake.append([record(number * rows, events(texts))])
    return lake


def test_a_merge_takes_fewer_files_where_all_are_too_much_for_its_memory(tmp_path: Path) -> None:
    """Long texts are merged too; the rows are the same."""
    lake = long_texts(tmp_path, files=8, rows=4)
    before = everything(lake)
    merged = [step.files_before for step in compact(lake.store, replace(EAGER, memory_bytes=32 << 20))]
    assert 2 <= merged[0] < 8
    assert everything(lake) == before
    lake.close()


@pytest.mark.parametrize("files", [2, 3, 6, 7, 13])
def test_two_files_that_fit_are_merged_however_many_do_not(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """Else small files would pile up, and be read in vain each hour."""
    lake = DeltaLake(tmp_path / "lake", clock)
    for number in range(files):
        lake.append([record(number * 10, events(steady(10, start_ms=NOW_MS - 3_600_000)))])
    merge = compaction._merge

    def small_memory(
        store: LakeStore, spec: TableSpec, batch: Sequence[LakeFile], policy: CompactionPolicy
    ) -> Compacted:
        if len(batch) > 2:
            raise duckdb.OutOfMemoryException("Out of Memory Error")
        return merge(store, spec, batch, policy)

    monkeypatch.setattr(compaction, "_merge", small_memory)
    done = list(compact(lake.store, CompactionPolicy(files_min=2)))
    assert {each.files_before for each in done} == {2}
    lake.close()


def test_files_that_are_too_much_for_the_memory_keep_no_others_from_being_merged(tmp_path: Path) -> None:
    """It is said at the end."""
    lake = long_texts(tmp_path, files=2, rows=24)
    with pytest.raises(duckdb.OutOfMemoryException):
        list(compact(lake.store, replace(EAGER, memory_bytes=32 << 20)))
    assert {name: len(files) for name, files in lake.snapshot().files.items() if files} == {
        "events": 2,
        "hours": 1,
    }
    lake.close()


def test_a_disk_that_fails_amid_a_merge_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sorted on the disk is gone when the first rows have been written."""
    lake = DeltaLake(tmp_path / "lake", ManualClock(NOW_MS))
    rows = events(steady(100_000, step_ms=1))
    for number in range(4):
        lake.append([record(number * 100_000, rows)])
    before = dict(lake.snapshot().files)
    genuine = FileWriter.add

    def add(writer: FileWriter, part: pa.Table) -> None:
        genuine(writer, part)
        for spilt in (lake.store.folder / "spill").rglob("*.tmp"):
            os.truncate(spilt, 0)

    monkeypatch.setattr(FileWriter, "add", add)
    with pytest.raises(duckdb.IOException):
        list(compact(lake.store, replace(EAGER, memory_bytes=32 << 20)))
    assert dict(lake.snapshot().files) == before
    assert not list(lake.store.folder.rglob("part-*.tmp"))
    lake.close()


def test_vacuum_keeps_what_readers_may_still_need(lake: DeltaLake, clock: ManualClock) -> None:
    """Files that left the table, and what a kill left of a write, go after the grace time; others never."""
    partition = lake.snapshot().files["events"][0].partition
    old = [lake.snapshot().path("events", entry) for entry in lake.snapshot().files["events"]]
    killed = FileWriter(lake.store.folder / "events", EVENTS, partition, FRESH)  # never finished
    (orphan,) = (lake.store.folder / "events").rglob("*.tmp")
    list(compact(lake.store, EAGER))
    before = everything(lake)
    assert vacuum(lake.store, grace_s=60) == []
    clock.sleep(59)
    assert vacuum(lake.store, grace_s=60) == []
    clock.sleep(1)
    deleted = vacuum(lake.store, grace_s=60)
    assert {orphan, *old} <= set(deleted)
    assert not any(path.exists() for path in deleted)
    assert everything(lake) == before
    assert vacuum(lake.store, grace_s=0) == []
    killed.__exit__()


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_check_names_damaged_files(lake: DeltaLake, damage: str) -> None:
    """A flipped bit, a missing end and a missing file are found by re-reading, and can be kept in mind."""
    assert [step.damage for step in check(lake.snapshot()) if step.damage] == []
    entry = lake.snapshot().files["events"][2]
    path = lake.snapshot().path("events", entry)
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 1
    if damage == "lose":
        path.unlink()
    else:
        path.write_bytes(payload if damage == "flip" else payload[:-1])
    found = [step.damage for step in check(lake.snapshot()) if step.damage]
    assert [(item.table, item.path) for item in found] == [("events", entry.path)]
    assert write_down(lake.store) == quarantined(lake.store.folder) == found


def test_what_is_known_of_files_does_not_grow_with_the_years(
    lake: DeltaLake, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that merges have replaced are forgotten, damaged ones never."""
    monkeypatch.setattr(verifying, "_PRUNED_FROM", 4)
    verified = verifying.Verified(clock)
    folder, entry = lake.store.folder / "events", lake.snapshot().files["events"][0]
    whole = (folder / entry.path).read_bytes()
    for day in range(100):
        copy = replace(entry, path=entry.path.replace("part-", f"part-{day}-"))
        (folder / copy.path).write_bytes(whole if day else whole[:-1])
        assert bool(verified.problem(folder, copy)) == (day == 0)
        clock.sleep(86_400)
    assert len(verified._compared) <= 4
    assert verified.damaged == 1


def test_inspecting_finds_damage_bit_by_bit(lake: DeltaLake, clock: ManualClock) -> None:
    """A file at a time, until each was read; a day later all of them again."""
    number = sum(map(len, lake.snapshot().files.values()))
    for day in range(2):
        for _ in range(number):
            inspect(lake.store, bytes_max=1)
        assert len(quarantined(lake.store.folder)) == day
        path = lake.snapshot().path("events", lake.snapshot().files["events"][day])
        path.write_bytes(path.read_bytes()[:-1])
        inspect(lake.store, bytes_max=1)
        assert len(quarantined(lake.store.folder)) == day
        clock.sleep(86_400)
