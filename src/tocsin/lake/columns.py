"""Events of many log records as one set of columns, and as Arrow tables for files and queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tocsin.events import F64, I32, I64, U8, Strings, empty_text
from tocsin.lake.schemas import TIME

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

    @property
    def span_ms(self) -> tuple[int, int]:
        """The first and the last stamp; there must be events."""
        return int(self.ts.min()), int(self.ts.max())

    def take(self, rows: I64) -> EventColumns:
        """The events at `rows`, in that order, under the same numbers."""
        lengths = np.diff(self.reading_offsets)[rows]
        offsets: I32 = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        index = np.repeat(self.reading_offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return EventColumns(
            tenant=self.tenant,
            device=self.device[rows],
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
            devices=self.devices,
            streams=self.streams,
            names=self.names,
        )

    def narrowed(self) -> EventColumns:
        """The same events with only the devices that they name."""
        used = np.flatnonzero(np.bincount(self.device, minlength=len(self.devices)))
        index = np.zeros(len(self.devices), np.int32)
        index[used] = np.arange(len(used))
        return replace(self, device=index[self.device], devices=self.devices.take(used))


def join_columns(parts: Sequence[EventColumns]) -> EventColumns:
    """Parts of one feed, which share their numbers, one after another."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        device=joined([part.device for part in parts], np.int32),
        ts=joined([part.ts for part in parts], np.int64),
        arrival=joined([part.arrival for part in parts], np.int64),
        flags=joined([part.flags for part in parts], np.uint8),
        stream=joined([part.stream for part in parts], np.int32),
        reading_offsets=joined_offsets([part.reading_offsets for part in parts]),
        parameter=joined([part.parameter for part in parts], np.int32),
        value=joined([part.value for part in parts], np.float64),
        text=joined_strings([part.text for part in parts]),
        text_count=joined([part.text_count for part in parts], np.int32),
        event_id=joined_strings([part.event_id for part in parts]),
        partition=joined([part.partition for part in parts], np.int32),
        offset=joined([part.offset for part in parts], np.int64),
    )


def joined(parts: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    """Arrays laid one after another; none at all give an empty one."""
    return np.concatenate(parts, dtype=dtype) if parts else np.zeros(0, dtype)


def joined_offsets(parts: Iterable[I32]) -> I32:
    """Offsets of lists that are laid one after another; starts at 0."""
    lengths = np.concatenate([_FIRST, *(part[1:] - part[:-1] for part in parts)])
    return np.cumsum(lengths, dtype=np.int32, out=lengths)


def joined_strings(parts: list[Strings]) -> Strings:
    """Columns of strings laid one after another."""
    data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
    if not any(map(len, data)):
        return empty_text(sum(map(len, parts)))
    return Strings(joined_offsets(part.offsets for part in parts), joined(data, np.uint8))


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
