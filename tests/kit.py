"""Small fleets for tests: events by hand or by seed, and records of a log without a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tocsin.control import Control, encode_control
from tocsin.events import EventBatch
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import encode_events
from tocsin.processing import small_logs

LogHistory = small_logs.LogHistory
Row = small_logs.Row
START_MS = 1_700_000_000_000


def events_of(rows: Sequence[Row], *, application: str = "pumps", flags: int = 0) -> EventBatch:
    """A batch of these rows, in order."""
    return small_logs.events_of(rows, stream=(application, "1.0"), flags=flags)


def record_of(content: EventBatch | Control, offset: int, *, partition: int = 0, tenant: str = "t") -> Record:
    """A log record that holds a batch or a decision."""
    if isinstance(content, EventBatch):
        payload = encode_events(content)
        return Record(partition, offset, len(content), RecordKind.EVENTS, tenant, 0, payload)
    return Record(partition, offset, 1, RecordKind.CONTROL, tenant, 0, encode_control(content))


def log_of(contents: Iterable[EventBatch | Control], **where: int | str) -> list[Record]:
    """The records of a log with these contents, from offset 0 on."""
    records: list[Record] = []
    for content in contents:
        offset = records[-1].next_offset if records else 0
        records.append(record_of(content, offset, **where))  # type: ignore[arg-type]
    return records


def fleet(
    seed: int, *, devices: int = 3, steps: int = 120, step_ms: int = 60_000, faults: bool = True
) -> list[Row]:
    """A few devices with two parameters, noise, gaps and, for some, a level that shifts for a while."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    shift_at = rng.integers(40, steps, devices) if faults else np.full(devices, steps)
    quiet_at = rng.integers(30, steps, devices)
    for step in range(steps):
        for device in range(devices):
            if quiet_at[device] <= step < quiet_at[device] + 25 and device % 2:
                continue
            shifted = 40.0 if shift_at[device] <= step < shift_at[device] + 15 else 0.0
            values = {
                "temperature": 20.0 + shifted + float(rng.normal()),
                "humidity": 50.0 + float(rng.normal()),
            }
            if rng.random() < 0.1:
                del values["humidity"]
            rows.append((f"pump-{device}", START_MS + step * step_ms, values))
    return rows
