"""Log records as columns, block by block, under numbers that all blocks share."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from tocsin.errors import CorruptError, TooLargeError
from tocsin.events import I32, I64, EventBatch, Strings
from tocsin.interning import Interner
from tocsin.lake.columns import EventColumns, joined, joined_offsets, joined_strings
from tocsin.log.abstract import Record
from tocsin.payloads import decode_events

BLOCK_ROWS: Final = 1 << 18
STAMP_MS_MAX: Final = 2**53
BYTES_MAX: Final = 2**31 - 1

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Stamps:
    """When the events of one record happened: stamps, the first and last of them, arrival, and streams."""

    ts: I64
    span_ms: tuple[int, int]
    arrival_ms: int
    stream: I32


class Feed:
    """The events of some records of one tenant. Devices, streams and names are numbered as they first appear.

    Raises CorruptError where a record is damaged, and TooLargeError above 2 GiB of payload, which 32-bit
    offsets can't address. Blocks have about `BLOCK_ROWS` rows, so that what an append needs beside the
    payload does not grow with it, and stays in the cache.
    """

    def __init__(self, tenant: str, records: Sequence[Record]) -> None:
        if sum(len(record.payload) for record in records) > BYTES_MAX:
            raise TooLargeError("more than 2 GiB of records at once: append them in parts")
        self.tenant: Final = tenant
        self._records: Final = [record for record in records if record.count]
        self._batches: Final = [_decoded(record) for record in self._records]
        self._spans: Final = [_span_ms(tenant, batch.ts) for batch in self._batches]
        streams, names, devices = _Numbers[tuple[str, str]](), _Numbers[str](), Interner()
        self._device: Final = [devices.intern(batch.device) for batch in self._batches]
        self._stream: Final = [streams.renumber(batch.streams, batch.stream) for batch in self._batches]
        self._parameter: Final = [names.renumber(batch.names, batch.parameter) for batch in self._batches]
        self.devices: Final[Strings] = devices.names()
        self.streams: Final = tuple(streams.values)
        self.names: Final = tuple(names.values)

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @property
    def readings(self) -> int:
        """Number of readings of all events."""
        return sum(batch.readings for batch in self._batches)

    @property
    def span_ms(self) -> tuple[int, int]:
        """The first and the last stamp; (0, 0) without events."""
        return (
            min((first for first, _ in self._spans), default=0),
            max((last for _, last in self._spans), default=0),
        )

    def stamps(self) -> Iterator[Stamps]:
        """The stamps of each record."""
        for record, batch, span_ms, stream in zip(
            self._records, self._batches, self._spans, self._stream, strict=True
        ):
            yield Stamps(batch.ts, span_ms, record.arrival_ms, stream)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[EventColumns]:
        """All events in order, in blocks of whole records that end with the record that fills `rows`."""
        first, size = 0, 0
        for last, batch in enumerate(self._batches, 1):
            size += len(batch)
            if size >= rows:
                yield self._block(slice(first, last))
                first, size = last, 0
        if size:
            yield self._block(slice(first, len(self._batches)))

    def whole(self) -> EventColumns:
        """All events as one block."""
        return self._block(slice(None))

    def _block(self, part: slice) -> EventColumns:
        batches, records = self._batches[part], self._records[part]
        counts = [len(batch) for batch in batches]
        return EventColumns(
            tenant=self.tenant,
            device=joined(self._device[part], np.int32),
            ts=joined([batch.ts for batch in batches], np.int64),
            arrival=np.repeat(np.array([record.arrival_ms for record in records], np.int64), counts),
            flags=joined([batch.flags for batch in batches], np.uint8),
            stream=joined(self._stream[part], np.int32),
            reading_offsets=joined_offsets([batch.reading_offsets for batch in batches]),
            parameter=joined(self._parameter[part], np.int32),
            value=joined([batch.value for batch in batches], np.float64),
            text=joined_strings([batch.text for batch in batches]),
            text_count=joined([batch.text_count for batch in batches], np.int32),
            event_id=joined_strings([batch.event_id for batch in batches]),
            partition=np.repeat(np.array([record.partition for record in records], np.int32), counts),
            offset=joined([np.arange(record.offset, record.next_offset) for record in records], np.int64),
            devices=self.devices,
            streams=self.streams,
            names=self.names,
        )


def _decoded(record: Record) -> EventBatch:
    batch = decode_events(record.payload)
    if len(batch) != record.count:
        raise CorruptError(
            f"log record {record.partition}:{record.offset} does not hold {record.count} events"
        )
    return batch


def _span_ms(tenant: str, ts: I64) -> tuple[int, int]:
    first, last = int(ts.min()), int(ts.max())
    if max(-first, last) > STAMP_MS_MAX:
        raise CorruptError(f"a log record of tenant {tenant!r} has a time stamp beyond 2^53 ms")
    return first, last


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
