"""The promises of the lake port, kept by every implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from proof.simulation.lake import SimulatedLake
from tests.lake_kit import NOW_MS, Row, events, open_lake, record, rows_of
from tocsin.clock import ManualClock
from tocsin.control import (
    Control,
    DumpOutcome,
    DumpReceived,
    GapGivenUp,
    Quarantine,
    Tick,
    decode_control,
    encode_control,
)
from tocsin.errors import ConflictError
from tocsin.lake.abstract import Lake, Slice
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import query
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import decode_events
from tocsin.storage.lock import FolderInUseError

Opener = Callable[[], Lake]
DeltaOpener = Callable[[], DeltaLake]
Open = Callable[[Path], Lake]


def open_simulated(folder: Path) -> Lake:
    return SimulatedLake(folder, ManualClock(NOW_MS))


def slice_of(lake: Lake, device: str, *, partition: int = 0, before: int = 1 << 40) -> Slice:
    return lake.device_events("acme", device, partition=partition, before_offset=before)


@pytest.fixture(params=[open_lake, open_simulated], ids=["delta", "simulated"])
def open_one(request: pytest.FixtureRequest) -> Open:
    """Opens a lake of one implementation in a folder."""
    opener: Open = request.param
    return opener


def _reopening(folder: Path, open_one: Open) -> Iterator[Opener]:
    opened: list[Lake] = []

    def reopen() -> Lake:
        for lake in opened:
            lake.close()
        opened.append(open_one(folder / "lake"))
        return opened[-1]

    yield reopen
    for lake in opened:
        lake.close()


@pytest.fixture
def opener(tmp_path: Path, open_one: Open) -> Iterator[Opener]:
    """Opens the lake, after closing the one opened before."""
    yield from _reopening(tmp_path, open_one)


@pytest.fixture
def delta_opener(tmp_path: Path) -> Iterator[DeltaOpener]:
    """As `opener`, for what Delta tables alone do."""
    yield from cast("Iterator[DeltaOpener]", _reopening(tmp_path, open_lake))


FIRST: list[Row] = [
    ("a", NOW_MS, {"t": 1.5, "h": -0.25}, ""),
    ("b", NOW_MS, {"t": 2.0}, '{"state":"on"}'),
    ("a", NOW_MS - 1, {}, '{"state":"off"}'),
]
SECOND: list[Row] = [("a", NOW_MS + 1, {"h": 3.0, "t": 4.0}, ""), ("c", NOW_MS, {"t": 5.0}, "")]


def test_events_come_back_in_log_order(opener: Opener) -> None:
    """A device's events are read as they were appended, with their offsets, in the order of the log."""
    lake = opener()
    lake.append([record(0, events(FIRST)), record(3, events(SECOND))])
    found = slice_of(lake, "a")
    assert found.offsets == (0, 2, 3)
    assert rows_of(found.batch) == [FIRST[0], FIRST[2], SECOND[0]]
    assert found.batch.flags.tolist() == [0, 2, 0]
    assert found.batch.text_count.tolist() == [0, 1, 0]
    assert found.batch.streams == (("pumps", "1.0"),)


def test_positions_name_the_next_offset(opener: Opener) -> None:
    """Positions start empty and name the offset after the last record of each partition."""
    lake = opener()
    assert dict(lake.positions()) == {}
    lake.append([record(0, events(FIRST)), record(0, events(SECOND), partition=3)])
    assert dict(lake.positions()) == {0: 3, 3: 2}


def test_repeated_append_changes_nothing(opener: Opener) -> None:
    """Records below the position are skipped, whether the lake was reopened or not."""
    lake = opener()
    lake.append([record(0, events(FIRST))])
    lake.append([record(0, events(FIRST))])
    lake = opener()
    lake.append([record(0, events(FIRST)), record(3, events(SECOND))])
    assert slice_of(lake, "a").offsets == (0, 2, 3)


def test_reopened_lake_has_everything(opener: Opener) -> None:
    """What append has returned for is there after closing and opening."""
    opener().append([record(0, events(FIRST))])
    lake = opener()
    assert dict(lake.positions()) == {0: 3}
    assert rows_of(slice_of(lake, "b").batch) == [FIRST[1]]


def test_gap_is_refused(opener: Opener) -> None:
    """Records that start beyond the position would lose what lies between, so they are refused."""
    lake = opener()
    lake.append([record(0, events(FIRST))])
    with pytest.raises(ConflictError):
        lake.append([record(4, events(SECOND))])


def test_control_records_move_the_position(opener: Opener) -> None:
    """Control records are stored, and count as offsets of their partition."""
    lake = opener()
    tick = Record(0, 3, 1, RecordKind.CONTROL, "", NOW_MS, encode_control(Tick(now_ms=NOW_MS)))
    lake.append([record(0, events(FIRST)), tick])
    lake.append([record(4, events(SECOND))])
    lake = opener()
    assert dict(lake.positions()) == {0: 6}
    assert slice_of(lake, "a").offsets == (0, 2, 4)


def test_records_come_back_as_they_were_appended(opener: Opener) -> None:
    """Events and decisions of all tenants are read in the order of their offsets, also in part."""
    lake = opener()
    tick = Record(0, 3, 1, RecordKind.CONTROL, "acme", NOW_MS, encode_control(Tick(now_ms=1)))
    other = record(4, events(SECOND), tenant="other")
    lake.append([record(0, events(FIRST)), tick, other, record(6, events(FIRST)), record(9, events(SECOND))])
    found = lake.records(0, 0, 11)
    assert [(each.offset, each.next_offset, each.tenant) for each in found] == [
        (0, 3, "acme"), (3, 4, "acme"), (4, 6, "other"), (6, 11, "acme"),
    ]  # fmt: skip
    assert found[1].payload == tick.payload
    assert rows_of(decode_events(found[3].payload)) == FIRST + SECOND
    assert [each.offset for each in lake.records(0, 3, 5)] == [3, 4]
    assert lake.records(1, 0, 11) == []


def test_decisions_about_the_dumps_of_one_device_are_found(opener: Opener) -> None:
    """Those of its dumps and gaps alone, however the name has to be written, below an offset."""
    names = ['a "quoted" one', "a", "ab"]
    decisions: list[Control] = [
        DumpReceived(
            tenant="acme",
            device=name,
            sequence=number,
            sha256="0" * 64,
            size_bytes=1,
            outcome=DumpOutcome.ACCEPTED,
        )
        for number in (1, 3)
        for name in names
    ]
    decisions += [GapGivenUp(tenant="acme", device="a", epoch=0, from_sequence=2, to_sequence=2)]
    decisions += [Quarantine(tenant="acme", devices=("a",), reason="a test"), Tick(now_ms=1)]
    lake = opener()
    lake.append(
        [
            Record(0, offset, 1, RecordKind.CONTROL, "acme", NOW_MS, encode_control(decision))
            for offset, decision in enumerate(decisions)
        ]
    )

    def offsets(device: str, *, partition: int = 0, before_offset: int = 99) -> list[int]:
        found = lake.dump_records("acme", device, partition=partition, before_offset=before_offset)
        assert [decode_control(each.payload) for each in found] == [decisions[each.offset] for each in found]
        return [each.offset for each in found]

    assert offsets(names[0]) == [0, 3]
    assert offsets("a") == [1, 4, 6]
    assert offsets("a", before_offset=6) == [1, 4]
    assert offsets("a", partition=1) == offsets("b") == []
    assert lake.dump_records("other", "a", partition=0, before_offset=99) == []


def test_device_events_stop_before_an_offset_and_keep_to_a_span(opener: Opener) -> None:
    """`before_offset` excludes, `from_ms` and `to_ms` include; other tenants and partitions are not seen."""
    lake = opener()
    lake.append([record(0, events(FIRST)), record(3, events(SECOND)), record(0, events(FIRST), partition=1)])
    lake.append([record(5, events(FIRST), tenant="other")])
    assert slice_of(lake, "a", before=3).offsets == (0, 2)
    span = lake.device_events("acme", "a", partition=0, before_offset=99, from_ms=NOW_MS, to_ms=NOW_MS)
    assert span.offsets == (0,)
    assert slice_of(lake, "nobody").offsets == ()


def test_many_devices_at_once_are_each_one_by_itself(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order given, known or not, asked twice or not, within the bound on events or beyond it."""
    lake = opener()
    lake.append([record(0, events(FIRST)), record(3, events(SECOND)), record(0, events(FIRST), partition=1)])
    lake.append([record(5, events(FIRST), tenant="other")])
    asked = ["b", "nobody", "a", "b"]
    for most in (1, 2, 1_000):
        monkeypatch.setattr("tocsin.lake.reading.EVENTS_AT_ONCE_MAX", most)
        found = list(lake.events_of_devices("acme", asked, partition=0, before_offset=4))
        assert [device for device, _ in found] == asked
        for device, own in found:
            alone = slice_of(lake, device, before=4)
            assert own.offsets == alone.offsets
            assert rows_of(own.batch) == rows_of(alone.batch)
    assert list(lake.events_of_devices("acme", [], partition=0, before_offset=4)) == []


def test_only_one_writer(opener: Opener, open_one: Open, tmp_path: Path) -> None:
    """A second writer of the same lake is refused."""
    opener()
    with pytest.raises(FolderInUseError):
        open_one(tmp_path / "lake")


def test_compaction_changes_no_event(delta_opener: DeltaOpener) -> None:
    """After compaction a device's events are the same, in the order of the log."""
    lake = delta_opener()
    for start in range(0, 40, 4):
        rows: list[Row] = [
            (f"d{at % 2}", NOW_MS - at * 1000, {"t": float(at)}, "") for at in range(start, start + 4)
        ]
        lake.append([record(start, events(rows))])
    before = slice_of(lake, "d1")
    done = list(compact(lake.store, CompactionPolicy(files_min=2)))
    assert {(step.table, step.files_before, step.files_after) for step in done} >= {("events", 10, 1)}
    after = slice_of(delta_opener(), "d1")
    assert after.offsets == before.offsets == tuple(range(1, 40, 2))
    assert rows_of(after.batch) == rows_of(before.batch)


def test_failed_append_can_be_repeated_in_other_parts(
    delta_opener: DeltaOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an append that failed between two tables, repeating it with more records counts nothing twice."""
    lake = delta_opener()
    commit = lake.store.table("events").commit
    monkeypatch.setattr(lake.store.table("events"), "commit", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lake.append([record(0, events(FIRST))])
    assert dict(lake.positions()) == {}
    monkeypatch.setattr(lake.store.table("events"), "commit", commit)
    lake.append([record(0, events(FIRST)), record(3, events(SECOND))])
    assert slice_of(lake, "a").offsets == (0, 2, 3)
    counts = query('SELECT sum("count") FROM hours', lake=lake, log=None, tenant="acme")
    assert counts.column(0).to_pylist() == [6]
