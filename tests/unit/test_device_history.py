"""A device's past out of lake and log, asked for by many threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.kit import START_MS, events_of
from tocsin.clock import ManualClock
from tocsin.lake.delta import DeltaLake
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events
from tocsin.runtimes.embedded.history import DeviceHistory

VALUES = {"north": 1.0, "south": 2.0}


@pytest.fixture
def history(tmp_path: Path) -> Iterator[DeviceHistory]:
    """Of two tenants that each have a device `pump-7`, in the log alone."""
    clock = ManualClock(START_MS)
    log, lake = EmbeddedLog(tmp_path / "log", 1, clock), DeltaLake(tmp_path / "lake", clock)
    for tenant, value in VALUES.items():
        payload = encode_events(events_of([("pump-7", START_MS, {"pressure": value})]))
        log.submit(Append(tenant, START_MS, [Part(0, RecordKind.EVENTS, 1, payload)])).result(20)
    yield DeviceHistory(log, lake)
    log.close()
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
