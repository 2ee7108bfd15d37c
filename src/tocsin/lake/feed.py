"""Log records as columns, block by block, under numbers that all blocks share."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Generic, TypeVar

import numpy as np

from tocsin.errors import CorruptError, TooLargeError
from tocsin.events import I32, EventBatch, Strings
from tocsin.interning import Interner
from tocsin.lake.columns import EventColumns, join_columns, joined
from tocsin.log.abstract import Record
from tocsin.payloads import event_count, join_events

BLOCK_ROWS: Final = 1 << 18
STAMP_MS_MAX: Final = 2**53
BYTES_MAX: Final = 2**31 - 1

T = TypeVar("T", bound=Hashable)


class Feed:
    """The events of some records of one tenant. Devices, streams and names are numbered as they first appear.

    Raises CorruptError where a record is damaged, and TooLargeError above 2 GiB of payload, which 32-bit
    offsets can't address. Blocks are whole records, up to the one that fills `block_rows`, so that what an
    append needs beside the columns does not grow with it, and stays in the cache.
    """

    def __init__(self, tenant: str, records: Sequence[Record], *, block_rows: int = BLOCK_ROWS) -> None:
        if sum(len(record.payload) for record in records) > BYTES_MAX:
            raise TooLargeError("more than 2 GiB of records at once: append them in parts")
        self.tenant: Final = tenant
        streams, names, devices = _Numbers[tuple[str, str]](), _Numbers[str](), Interner()
        blocks = [
            _columns(tenant, part, streams, names, devices)
            for part in _parts([record for record in records if record.count], block_rows)
        ]
        self.devices: Final[Strings] = devices.names()
        self.streams: Final = tuple(streams.values)
        self.names: Final = tuple(names.values)
        self.blocks: Final = tuple(
            replace(block, devices=self.devices, streams=self.streams, names=self.names) for block in blocks
        )
        """All events in order, under the numbers of the whole feed."""

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def readings(self) -> int:
        """Number of readings of all events."""
        return sum(block.readings for block in self.blocks)

    @property
    def span_ms(self) -> tuple[int, int]:
        """The first and the last stamp; (0, 0) without events."""
        spans = [block.span_ms for block in self.blocks]
        return min((first for first, _ in spans), default=0), max((last for _, last in spans), default=0)

    def whole(self) -> EventColumns:
        """All events as one block; there must be some."""
        return join_columns(self.blocks)


def _parts(records: Sequence[Record], rows: int) -> Iterator[list[Record]]:
    """Records up to the one that fills `rows`, again and again."""
    part: list[Record] = []
    size = 0
    for record in records:
        part.append(record)
        size += record.count
        if size >= rows:
            yield part
            part, size = [], 0
    if part:
        yield part


def _columns(
    tenant: str,
    records: Sequence[Record],
    streams: _Numbers[tuple[str, str]],
    names: _Numbers[str],
    devices: Interner,
) -> EventColumns:
    """The events of these records, whose devices, streams and names are not listed yet."""
    batch = _decoded(tenant, records)
    counts = [record.count for record in records]
    return EventColumns(
        tenant=tenant,
        device=devices.intern(batch.device),
        ts=batch.ts,
        arrival=np.repeat(np.array([record.arrival_ms for record in records], np.int64), counts),
        flags=batch.flags,
        stream=streams.renumber(batch.streams, batch.stream),
        reading_offsets=batch.reading_offsets,
        parameter=names.renumber(batch.names, batch.parameter),
        value=batch.value,
        text=batch.text,
        text_count=batch.text_count,
        event_id=batch.event_id,
        partition=np.repeat(np.array([record.partition for record in records], np.int32), counts),
        offset=joined([np.arange(record.offset, record.next_offset) for record in records], np.int64),
        devices=Strings.of([]),
        streams=(),
        names=(),
    )


def _decoded(tenant: str, records: Sequence[Record]) -> EventBatch:
    batch = join_events([record.payload for record in records])
    for record in records:
        if event_count(record.payload) != record.count:
            raise CorruptError(
                f"log record {record.partition}:{record.offset} does not hold {record.count} events"
            )
    if max(-int(batch.ts.min()), int(batch.ts.max())) > STAMP_MS_MAX:
        raise CorruptError(f"a log record of tenant {tenant!r} has a time stamp beyond 2^53 ms")
    return batch


class _Numbers(Generic[T]):
    """Numbers values as they first appear; remembers tables it has seen, since batches repeat them."""

    def __init__(self) -> None:
        self.values: dict[T, int] = {}
        self._tables: dict[tuple[T, ...], I32 | None] = {}

    def renumber(self, table: tuple[T, ...], indexes: I32) -> I32:
        """Indexes into `table` as numbers; the same array where both are equal."""
        if table not in self._tables:
            numbers = [self.values.setdefault(value, len(self.values)) for value in table]
            same = numbers == list(range(len(table)))
            self._tables[table] = None if same else np.array(numbers, np.int32)
        known = self._tables[table]
        return indexes if known is None else known[indexes]
