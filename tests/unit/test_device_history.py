"""A device's past out of lake and log, asked for by many threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.kit import START_MS, events_of
from tocsin.clock import ManualClock
from tocsin.control import DumpOutcome, DumpReceived, encode_control
from tocsin.lake.delta import DeltaLake
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events
from tocsin.runtimes.embedded.history import DUMPS_KEPT_DEVICES, DeviceHistory

VALUES = {"north": 1.0, "south": 2.0}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with closing(EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))) as opened:
        yield opened


@pytest.fixture
def history(tmp_path: Path, log: EmbeddedLog) -> Iterator[DeviceHistory]:
    """Of two tenants that each have a device `pump-7`, in the log alone."""
    lake = DeltaLake(tmp_path / "lake", ManualClock(START_MS))
    for tenant, value in VALUES.items():
        payload = encode_events(events_of([("pump-7", START_MS, {"pressure": value})]))
        log.submit(Append(tenant, START_MS, [Part(0, RecordKind.EVENTS, 1, payload)])).result(20)
    yield DeviceHistory(log, lake)
    lake.close()


def test_a_tenant_never_gets_another_ones_readings_wherever_threads_interleave(
    history: DeviceHistory,
) -> None:
    """Charts and proofs share one history: between any two lines of one reader comes another tenant's."""

    def value(tenant: str) -> float:
        return float(history(tenant, "pump-7", 2).batch.value[0])

    interrupted = 0

    def between_lines(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal interrupted
        if event == "line" and frame.f_code.co_filename == sys.modules[DeviceHistory.__module__].__file__:
            sys.settrace(None)
            assert value("south") == VALUES["south"]
            interrupted += 1
            sys.settrace(between_lines)
        return between_lines

    sys.settrace(between_lines)
    try:
        found = [value("north") for _ in range(2)]
    finally:
        sys.settrace(None)
    assert found == [VALUES["north"]] * 2
    assert interrupted > 10


class Asked:
    """How often the lake was asked for what was decided about dumps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        read = DeltaLake.dump_records

        def counted(lake: DeltaLake, *given: Any, **named: Any) -> Any:
            self.times += 1
            return read(lake, *given, **named)

        monkeypatch.setattr(DeltaLake, "dump_records", counted)


def numbers(history: DeviceHistory, tenant: str, below: int) -> list[tuple[int, int]]:
    """Offset and sequence of each dump of the device."""
    found = history.dumps(tenant, "press-3", below)
    return [(offset, each.sequence) for offset, each in found if isinstance(each, DumpReceived)]


def test_dumps_are_read_once_and_then_what_has_come_since(
    log: EmbeddedLog, history: DeviceHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a dump asks again and again; each look into the lake is felt by all others."""
    asked = Asked(monkeypatch)
    first = log.end(0)
    for number in (1, 2):
        for tenant in VALUES:
            receive(log, tenant, number)
        expected = [(first + 2 * k, k + 1) for k in range(number)]
        assert numbers(history, "north", log.end(0)) == expected
        assert numbers(history, "north", log.end(0)) == expected
    assert asked.times == 1
    assert numbers(history, "north", first + 1) == [(first, 1)]
    assert numbers(history, "south", log.end(0)) == [(first + 1, 1), (first + 3, 2)]
    assert asked.times == 3


def test_of_devices_that_nobody_asks_about_no_dumps_are_kept(
    log: EmbeddedLog, history: DeviceHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is bounded: the device that was asked about longest ago is read anew."""
    receive(log, "north", 1)
    asked = Asked(monkeypatch)
    expected = numbers(history, "north", log.end(0))
    for number in range(DUMPS_KEPT_DEVICES):
        history.dumps("north", f"other-{number}", log.end(0))
    assert numbers(history, "north", log.end(0)) == expected
    assert asked.times == DUMPS_KEPT_DEVICES + 2


def receive(log: EmbeddedLog, tenant: str, sequence: int) -> None:
    """Log that a dump of a device came."""
    dump = DumpReceived(
        tenant=tenant,
        device="press-3",
        sequence=sequence,
        sha256=f"{sequence:064x}",
        size_bytes=1,
        outcome=DumpOutcome.ACCEPTED,
    )
    part = Part(0, RecordKind.CONTROL, 1, encode_control(dump))
    log.submit(Append(tenant, START_MS, (part,))).result(20)
