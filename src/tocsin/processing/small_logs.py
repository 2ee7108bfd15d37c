"""Small logs made by hand: events out of rows, and a device's past out of the log's own records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.events import EventBatch, Strings, empty_text, no_events
from tocsin.log.abstract import Record, RecordKind
from tocsin.processing.batching import Events, batches
from tocsin.processing.processor import History

Row = tuple[str, int, dict[str, float]]
"""(device, ts, values by parameter)."""


def events_of(rows: Sequence[Row], *, stream: tuple[str, str] = ("", ""), flags: int = 0) -> EventBatch:
    """A batch of these rows, in order, of one application and version; goes from row to row."""
    names = sorted({name for _, _, values in rows for name in values})
    codes = {name: code for code, name in enumerate(names)}
    readings = [(codes[name], value) for _, _, values in rows for name, value in values.items()]
    return EventBatch(
        device=Strings.of([device for device, _, _ in rows]),
        ts=np.array([ts for _, ts, _ in rows], np.int64),
        flags=np.full(len(rows), flags, np.uint8),
        stream=np.zeros(len(rows), np.int32),
        reading_offsets=np.cumsum([0] + [len(values) for _, _, values in rows]).astype(np.int32),
        parameter=np.array([code for code, _ in readings], np.int32),
        value=np.array([value for _, value in readings], np.float64),
        text=empty_text(len(rows)),
        text_count=np.zeros(len(rows), np.int32),
        event_id=empty_text(len(rows)),
        names=tuple(names),
        streams=(stream,),
    )


class LogHistory(History):
    """A device's events out of a list of records; stands where the lake stands in a runtime."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __call__(self, tenant: str, device: str, before_offset: int) -> Events:
        """Those below the offset, in the order of the log."""
        earlier = [
            record
            for record in self._records
            if record.kind is RecordKind.EVENTS and record.tenant == tenant and record.offset < before_offset
        ]
        joined = next((each for each in batches(earlier) if isinstance(each, Events)), None)
        if joined is None:
            return Events(tenant, np.zeros(0, np.int64), no_events())
        own = [row for row, name in enumerate(joined.batch.device.tolist()) if name == device]
        rows = np.array(own, np.int64)
        return Events(tenant, joined.offsets[rows], joined.batch.take(rows))
