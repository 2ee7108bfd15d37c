"""Processes a small log that is nobody's, so that all that steps call is compiled.

Compiling takes minutes where no kernel has been compiled ahead. A step holds its partition's lock, and who
asks for devices or digests meanwhile would be refused; a rehearsal holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np

from tocsin.control import (
    Control,
    Correct,
    MaintenanceSet,
    Quarantine,
    Range,
    Settings,
    SettingsChanged,
    Tick,
    encode_control,
)
from tocsin.events import EventBatch
from tocsin.log.abstract import Record, RecordKind
from tocsin.model import Flag
from tocsin.payloads import encode_events
from tocsin.processing.processor import process
from tocsin.processing.small_logs import LogHistory, Row, events_of
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.processing.state import PartitionState, digest_sums

_TENANT: Final = "rehearsal"
_START_MS: Final = 1_700_000_000_000
_MINUTE_MS: Final = 60_000
_DEVICES: Final = 1_100
"""More than tables have room for at first, so that they grow."""


@cache
def rehearse() -> None:
    """Call what a step, a checkpoint and a digest call, once in a process; blocks for the compiler."""
    records = list(_log())
    state, history = PartitionState(0), LogHistory(records)
    for record in records:
        process([record], state, history)
    state.totals()
    snapshot_header(state, state.position)
    snapshot_shards(state, np.flatnonzero(occupied(state)).astype(np.int64))
    for tenant in state.tenants.values():
        digest_sums(tenant)


def _log() -> Iterator[Record]:
    """Everything that a log may hold, and everything that detectors look for."""
    offset = 0
    for content in _contents():
        if isinstance(content, EventBatch):
            kind, rows, payload = RecordKind.EVENTS, len(content), encode_events(content)
        else:
            kind, rows, payload = RecordKind.CONTROL, 1, encode_control(content)
        yield Record(0, offset, rows, kind, _TENANT, _START_MS, payload)
        offset += rows


def _contents() -> Iterator[EventBatch | Control]:
    ranges = {"temperature": Range(lower=-50.0, upper=100.0)}
    berlin = Settings(timezone="Europe/Berlin", parameters=ranges)
    yield SettingsChanged(tenant=_TENANT, effective_ms=0, settings=Settings(parameters=ranges))
    yield _live([_row("a", minute, 20.0 + minute % 7 * 0.1) for minute in range(300)])
    yield _live([_row("a", 300 + minute, 60.0) for minute in range(30)])  # a shift, then stuck
    yield _live([_row("a", 330 + minute, 500.0) for minute in range(20)])  # out of its range
    yield Tick(now_ms=_START_MS + 400 * _MINUTE_MS)
    yield _live([("a", _START_MS + (700 + n) * _MINUTE_MS, {"humidity": 5.0 + n % 3}) for n in range(90)])
    yield events_of([_row("a", 790 + minute, 20.0) for minute in range(5)], flags=Flag.CLOCK_WRONG)
    yield _live([_row("a", 800 + minute, 20.0 + minute % 3) for minute in range(40)])
    yield _live([_row("a", 200, 20.1), _row("a", 839, 99.0), _row("a", 500, 20.5)])  # twice, other, late
    yield Quarantine(tenant=_TENANT, devices=("a",), reason="rehearsal")
    yield _live([_row("a", 841, 20.0)])
    yield Quarantine(tenant=_TENANT, devices=("a",), reason="rehearsal", released=True)
    yield SettingsChanged(tenant=_TENANT, effective_ms=_START_MS + 842 * _MINUTE_MS, settings=berlin)
    yield _live([_row(f"device {number}", 843, 20.0) for number in range(_DEVICES)])
    yield _window(843, 900)
    yield _live([_row("a", 844 + minute, 500.0) for minute in range(10)])
    yield Correct(tenant=_TENANT, devices=("a",))
    yield Tick(now_ms=_START_MS + 10_000 * _MINUTE_MS)
    yield _live([_row("a", 10_001 + 61 * hour, 20.0) for hour in range(30)])


def _window(first: int, below: int) -> MaintenanceSet:
    span = (_START_MS + first * _MINUTE_MS, _START_MS + below * _MINUTE_MS)
    return MaintenanceSet(
        tenant=_TENANT,
        window="mw_rehearsal",
        revision=1,
        effective_ms=0,
        devices=("a",),
        spans=(span,),
        no_alert=True,
        no_learn=True,
    )


def _live(rows: Sequence[Row]) -> EventBatch:
    return events_of(rows, flags=Flag.LIVE)


def _row(device: str, minute: int, temperature: float) -> Row:
    return (
        device,
        _START_MS + minute * _MINUTE_MS,
        {"temperature": temperature, "humidity": 50.0 + minute % 5},
    )
