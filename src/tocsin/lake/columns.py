"""Events of many log records as one set of columns, and as Arrow tables for files and queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tocsin.errors import CorruptError, TooLargeError
from tocsin.events import F64, I32, I64, U8, Strings, decode_events, empty_text
from tocsin.interning import Interner
from tocsin.lake.schemas import TIME
from tocsin.log.abstract import Record

STAMP_MS_MAX: Final = 2**53
BYTES_MAX: Final = 2**31 - 1

_FIRST: Final = np.zeros(1, np.int32)


@dataclass(frozen=True, slots=True)
class EventColumns:
    """n events of one tenant with m readings; numbers instead of names, in the order of the log.

    `device`, `stream` and `parameter` are indexes into `devices`, `streams` and `names`. Times are in
    milliseconds. `partition` and `offset` say where in the log each event stands.
    """

    tenant: str
    device: I32
    ts: I64
    arrival: I64
    flags: U8
    stream: I32
    reading_offsets: I32
    parameter: I32
    value: F64
    text: Strings
    text_count: I32
    event_id: Strings
    partition: I32
    offset: I64
    devices: Strings
    streams: tuple[tuple[str, str], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def readings(self) -> int:
        """Number of readings, m."""
        return len(self.value)

    def take(self, rows: I64) -> EventColumns:
        """The events at `rows`, in that order, with only the devices that they name."""
        used, device = _renumber(self.device[rows], len(self.devices))
        lengths = np.diff(self.reading_offsets)[rows]
        offsets: I32 = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        index = np.repeat(self.reading_offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return EventColumns(
            tenant=self.tenant,
            device=device,
            ts=self.ts[rows],
            arrival=self.arrival[rows],
            flags=self.flags[rows],
            stream=self.stream[rows],
            reading_offsets=offsets,
            parameter=self.parameter[index],
            value=self.value[index],
            text=self.text.take(rows),
            text_count=self.text_count[rows],
            event_id=self.event_id.take(rows),
            partition=self.partition[rows],
            offset=self.offset[rows],
            devices=self.devices.take(used),
            streams=self.streams,
            names=self.names,
        )


def merge_records(tenant: str, records: Sequence[Record]) -> EventColumns:
    """The events of these records of one tenant, one after another; CorruptError where one is damaged.

    TooLargeError above 2 GiB of payload, which 32-bit offsets can't address.
    """
    if sum(len(record.payload) for record in records) > BYTES_MAX:
        raise TooLargeError("more than 2 GiB of records at once: append them in parts")
    batches = [decode_events(record.payload) for record in records]
    for record, batch in zip(records, batches, strict=True):
        if len(batch) != record.count:
            raise CorruptError(
                f"log record {record.partition}:{record.offset} does not hold {record.count} events"
            )
    names, streams, devices = _Numbers(), _Numbers(), Interner()
    device = [devices.intern(batch.device) for batch in batches]
    counts = [len(batch) for batch in batches]
    ts = _joined([batch.ts for batch in batches], np.int64)
    if len(ts) and max(-int(ts.min()), int(ts.max())) > STAMP_MS_MAX:
        raise CorruptError(f"a log record of tenant {tenant!r} has a time stamp beyond 2^53 ms")
    return EventColumns(
        tenant=tenant,
        device=_joined(device, np.int32),
        ts=ts,
        arrival=np.repeat(np.array([record.arrival_ms for record in records], np.int64), counts),
        flags=_joined([batch.flags for batch in batches], np.uint8),
        stream=_joined([streams.renumber(batch.streams, batch.stream) for batch in batches], np.int32),
        reading_offsets=_joined_offsets([batch.reading_offsets for batch in batches]),
        parameter=_joined([names.renumber(batch.names, batch.parameter) for batch in batches], np.int32),
        value=_joined([batch.value for batch in batches], np.float64),
        text=_joined_strings([batch.text for batch in batches]),
        text_count=_joined([batch.text_count for batch in batches], np.int32),
        event_id=_joined_strings([batch.event_id for batch in batches]),
        partition=np.repeat(np.array([record.partition for record in records], np.int32), counts),
        offset=_joined([np.arange(record.offset, record.next_offset) for record in records], np.int64),
        devices=devices.names(),
        streams=tuple(streams.values),
        names=tuple(names.values),
    )


class _Numbers:
    """Numbers values as they first appear; remembers tables it has seen, since batches repeat them."""

    def __init__(self) -> None:
        self.values: dict[Any, int] = {}
        self._tables: dict[tuple[Any, ...], I32 | None] = {}

    def renumber(self, table: tuple[Any, ...], indexes: I32) -> I32:
        """Indexes into `table` as numbers; the same array where both are equal."""
        if table not in self._tables:
            numbers = [self.values.setdefault(value, len(self.values)) for value in table]
            same = numbers == list(range(len(table)))
            self._tables[table] = None if same else np.array(numbers, np.int32)
        known = self._tables[table]
        return indexes if known is None else known[indexes]


def _joined(parts: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts, dtype=dtype) if parts else np.zeros(0, dtype)


def _joined_offsets(parts: Iterable[I32]) -> I32:
    """Offsets of lists that are laid one after another; starts at 0."""
    lengths = np.concatenate([_FIRST, *(part[1:] - part[:-1] for part in parts)])
    return np.cumsum(lengths, dtype=np.int32, out=lengths)


def _joined_strings(parts: list[Strings]) -> Strings:
    data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
    if not any(map(len, data)):
        return empty_text(sum(map(len, parts)))
    return Strings(_joined_offsets(part.offsets for part in parts), _joined(data, np.uint8))


def _renumber(numbers: I32, count: int) -> tuple[I64, I32]:
    """The numbers that occur, ascending, and each number as an index into them."""
    used = np.flatnonzero(np.bincount(numbers, minlength=count))
    index = np.zeros(count, np.int32)
    index[used] = np.arange(len(used))
    return used, index[numbers]


def arrow_strings(strings: Strings, *, null_if_empty: bool = False) -> pa.Array:
    """The strings as an Arrow array without copying them."""
    rows = len(strings)
    if null_if_empty and not len(strings.data):
        return pa.nulls(rows, pa.string())
    validity = None
    if null_if_empty:
        validity = pa.py_buffer(np.packbits(np.diff(strings.offsets) > 0, bitorder="little"))
    buffers = [validity, pa.py_buffer(strings.offsets), pa.py_buffer(strings.data)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def arrow_times(times_ms: I64) -> pa.Array:
    """Milliseconds as Arrow time stamps in microseconds, the resolution of Delta tables."""
    return pa.array(times_ms * 1000).view(TIME)


def arrow_names(numbers: I32, names: Sequence[str]) -> pa.Array:
    """A dictionary-encoded column."""
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(names, pa.string()))


def arrow_readings(columns: EventColumns) -> pa.Array:
    """The readings as a map from parameter (dictionary-encoded) to value."""
    keys = arrow_names(columns.parameter, columns.names)
    kind = pa.map_(keys.type, pa.field("value", pa.float64(), nullable=False))
    return pa.MapArray.from_arrays(
        pa.array(columns.reading_offsets), keys, pa.array(columns.value), type=kind
    )


def event_table(columns: EventColumns, *, name_streams: bool) -> pa.Table:
    """Rows of the files of `events`; `name_streams` fills what the overflow's partition does not say."""
    rows = len(columns)
    arrays = {
        "device": pa.DictionaryArray.from_arrays(pa.array(columns.device), arrow_strings(columns.devices)),
        "ts": arrow_times(columns.ts),
        "arrival": arrow_times(columns.arrival),
        "readings": arrow_readings(columns),
        "text": arrow_strings(columns.text, null_if_empty=True),
        "text_count": pa.array(columns.text_count),
        "id": arrow_strings(columns.event_id, null_if_empty=True),
        "flags": pa.array(columns.flags.astype(np.int32)),
        "log_partition": pa.array(columns.partition),
        "log_offset": pa.array(columns.offset),
        "sent_application": pa.nulls(rows, pa.string()),
        "sent_version": pa.nulls(rows, pa.string()),
    }
    if name_streams:
        for position, name in enumerate(("sent_application", "sent_version")):
            arrays[name] = arrow_names(columns.stream, [stream[position] for stream in columns.streams])
    optional = ("text", "id", "sent_application", "sent_version")
    schema = pa.schema([pa.field(name, arr.type, nullable=name in optional) for name, arr in arrays.items()])
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def decoded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`, without dictionaries; for engines that would take those for enumerations."""
    return pa.table(
        {field.name: _decoded(table.column(field.name), field.type) for field in schema}, schema=schema
    )


def _decoded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_map(kind):
        return column.cast(kind)
    chunks = [
        pa.MapArray.from_arrays(chunk.offsets, chunk.keys.cast(kind.key_type), chunk.items, type=kind)
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, type=kind)
