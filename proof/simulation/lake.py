"""A lake in one SQLite file: the same promises as the tables of delta-rs, which write behind Python's back.

So it lies on the simulated disk, and can be full, slow, torn and lost like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tocsin.clock import Clock
from tocsin.control import dump_decision
from tocsin.errors import ConflictError
from tocsin.events import EventBatch, concat_events, empty_text
from tocsin.lake.abstract import Lake, Slice
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import decode_events, encode_events
from tocsin.processing.batching import joined
from tocsin.storage.database import Tuning
from tocsin.storage.lock import FolderLock
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import Scripts
from tocsin.storage.writer import Writer

_SCHEMA: Final = """
CREATE TABLE records (
    partition INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
    kind INTEGER NOT NULL, tenant TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (partition, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE positions (partition INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT
"""
_SCRIPTS: Final = Scripts(schema=_SCHEMA, migrations=(_SCHEMA,), queries={})
_ADD: Final = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_ADVANCE: Final = "INSERT OR REPLACE INTO positions VALUES (?, ?)"
_READ: Final = (
    "SELECT first, count, kind, tenant, payload FROM records "
    "WHERE partition = ? AND first < ? AND first + count > ? ORDER BY first"
)
_NOTHING: Final = EventBatch(
    device=empty_text(0),
    ts=np.zeros(0, np.int64),
    flags=np.zeros(0, np.uint8),
    stream=np.zeros(0, np.int32),
    reading_offsets=np.zeros(1, np.int32),
    parameter=np.zeros(0, np.int32),
    value=np.zeros(0, np.float64),
    text=empty_text(0),
    text_count=np.zeros(0, np.int32),
    event_id=empty_text(0),
    names=(),
    streams=(),
)


class SimulatedLake(Lake):
    """Keeps records as they came. One writer: FolderInUseError for a second."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._lock = FolderLock(folder)
        self._writer = Writer(folder / "lake.db", _SCRIPTS, Tuning())
        self._readers = Readers(folder / "lake.db", Tuning())
        with self._readers.lend() as reader:
            self._positions: dict[int, int] = dict(reader.execute("SELECT * FROM positions"))

    def append(self, records: Sequence[Record]) -> None:
        positions = dict(self._positions)
        with self._writer.transaction() as writer:
            for record in records:
                reached = positions.get(record.partition, 0)
                if record.next_offset <= reached:
                    continue
                if 0 < reached < record.offset:
                    raise ConflictError(
                        f"partition {record.partition}: {reached} … {record.offset} are missing"
                    )
                row = (record.partition, record.offset, record.count, int(record.kind), record.tenant)
                writer.execute(_ADD, (*row, record.payload))
                positions[record.partition] = record.next_offset
            writer.executemany(_ADVANCE, positions.items())
        self._positions = positions

    def positions(self) -> Mapping[int, int]:
        return self._positions

    def device_events(
        self,
        tenant: str,
        device: str,
        *,
        partition: int,
        before_offset: int,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> Slice:
        own = [
            record
            for record in self.records(partition, 0, before_offset)
            if record.kind is RecordKind.EVENTS and record.tenant == tenant
        ]
        if not own:
            return Slice((), _NOTHING)
        events = joined(tenant, own)
        keep = np.array([name == device for name in events.batch.device.tolist()], bool)
        if from_ms is not None:
            keep &= events.batch.ts >= from_ms
        if to_ms is not None:
            keep &= events.batch.ts <= to_ms
        rows = np.flatnonzero(keep).astype(np.int64)
        return Slice(tuple(events.offsets[rows].tolist()), events.batch.take(rows))

    def events_of_devices(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> Iterator[tuple[str, Slice]]:
        for device in devices:
            yield (
                device,
                self.device_events(tenant, device, partition=partition, before_offset=before_offset),
            )

    def require_whole(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> None:
        """Nothing to look for: SQLite's own checks find what the simulated disk does to its pages."""

    def records(self, partition: int, first: int, last: int) -> list[Record]:
        with self._readers.lend() as reader:
            rows = list(reader.execute(_READ, (partition, last, first)))
        found: list[Record] = []
        for row in rows:
            record = _cut(_record(partition, row), first, last)
            if found and _may_join(found[-1], record):
                record = _join(found.pop(), record)
            found.append(record)
        return found

    def dump_records(self, tenant: str, device: str, *, partition: int, before_offset: int) -> list[Record]:
        return [
            each
            for each in self.records(partition, 0, before_offset)
            if each.kind is RecordKind.CONTROL
            and each.tenant == tenant
            and dump_decision(each.payload, device) is not None
        ]

    def close(self) -> None:
        self._readers.close()
        self._writer.close()
        self._lock.close()


def _record(partition: int, row: tuple[Any, ...]) -> Record:
    first, count, kind, tenant, payload = row
    return Record(partition, first, count, RecordKind(kind), tenant, 0, payload)


def _cut(record: Record, first: int, last: int) -> Record:
    """The part of a record with these offsets."""
    start, end = max(first, record.offset), min(last, record.next_offset)
    if (start, end) == (record.offset, record.next_offset):
        return record
    rows = np.arange(start - record.offset, end - record.offset, dtype=np.int64)
    payload = encode_events(decode_events(record.payload).take(rows))
    return Record(record.partition, start, end - start, record.kind, record.tenant, 0, payload)


def _may_join(left: Record, right: Record) -> bool:
    return (
        left.kind is right.kind is RecordKind.EVENTS
        and left.tenant == right.tenant
        and left.next_offset == right.offset
    )


def _join(left: Record, right: Record) -> Record:
    payload = encode_events(concat_events([decode_events(left.payload), decode_events(right.payload)]))
    return Record(left.partition, left.offset, left.count + right.count, left.kind, left.tenant, 0, payload)
