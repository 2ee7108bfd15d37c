"""Events for tests of the lake: plain rows in, log records out, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tocsin.clock import ManualClock
from tocsin.events import EventBatch, Strings
from tocsin.lake.delta import DeltaLake
from tocsin.lake.room import Rows
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import encode_events

NOW_MS = 1_767_225_600_000  # 2026-01-01
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Row = tuple[str, int, dict[str, float], str]
"""(device, ts, values by parameter, text)."""


def events(rows: Sequence[Row], streams: Sequence[tuple[str, str]] = (("pumps", "1.0"),)) -> EventBatch:
    """A batch of these rows; streams are dealt out in turn."""
    names = tuple(dict.fromkeys(name for _, _, readings, _ in rows for name in readings))
    sizes = [len(readings) for _, _, readings, _ in rows]
    return EventBatch(
        device=Strings.of([row[0] for row in rows]),
        ts=np.array([row[1] for row in rows], np.int64),
        flags=np.arange(len(rows), dtype=np.uint8) % 4,
        stream=np.arange(len(rows), dtype=np.int32) % len(streams),
        reading_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        parameter=np.array([names.index(name) for _, _, readings, _ in rows for name in readings], np.int32),
        value=np.array([value for _, _, readings, _ in rows for value in readings.values()], np.float64),
        text=Strings.of([row[3] for row in rows]),
        text_count=np.array([1 if row[3] else 0 for row in rows], np.int32),
        event_id=Strings.of(["" for _ in rows]),
        names=names,
        streams=tuple(streams),
    )


def record(offset: int, batch: EventBatch, *, partition: int = 0, tenant: str = "acme") -> Record:
    """A log record that holds the batch, arrived at NOW_MS."""
    return Record(partition, offset, len(batch), RecordKind.EVENTS, tenant, NOW_MS, encode_events(batch))


def rows_of(batch: EventBatch) -> list[Row]:
    """The batch as plain rows."""
    rows = []
    for row in range(len(batch)):
        span = range(batch.reading_offsets[row], batch.reading_offsets[row + 1])
        readings = {batch.names[batch.parameter[at]]: float(batch.value[at]) for at in span}
        rows.append((batch.device[row], int(batch.ts[row]), readings, batch.text[row]))
    return rows


def result_of(table: pa.Table) -> Rows:
    """The table as a result that is read piece by piece."""
    return Rows(table.schema, iter(table.to_batches()))


def steady(count: int, *, start_ms: int = NOW_MS, step_ms: int = 1000, devices: int = 3) -> list[Row]:
    """Rows of some devices in turn, one a step, with two parameters."""
    return [
        (f"d{number % devices}", start_ms + number * step_ms, {"t": number / 4, "h": -number / 8}, "")
        for number in range(count)
    ]


def open_lake(folder: Path, *, read_only: bool = False) -> DeltaLake:
    """The lake in `folder`, by a clock that stands at NOW_MS."""
    return DeltaLake(folder, ManualClock(NOW_MS), read_only=read_only)
