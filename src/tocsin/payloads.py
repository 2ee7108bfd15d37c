"""Events as the log keeps them: one payload for each partition that a batch is cut into.

A payload is a header of 64-bit numbers, columns that start at multiples of 8 bytes, and xxh3_64 of all
before it; everything is little-endian. Counts, lengths, streams and flags mostly say the same in every row,
so a column of them is stored as the rows after which it repeats: one, or all (docs/adr/0024).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, Final

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt
import xxhash

from tocsin.errors import CorruptError
from tocsin.events import F64, I32, I64, U8, EventBatch, Strings
from tocsin.intrinsics import address_of, bytes_at, load_u64, store_u64

Names = tuple[str, ...]
Streams = tuple[tuple[str, str], ...]

_MAGIC: Final = int.from_bytes(b"tocsin-2", "little")
_SUM_BYTES: Final = 8
_PAD_BYTES: Final = 8

# Numbers of the header.
_IS: Final = 0  # _MAGIC
_EVENTS: Final = 1
_READINGS: Final = 2
_TABLE_BYTES: Final = 3
_BYTES: Final = 4  # of devices, texts and ids
_STORED: Final = 7  # rows of each repeated column
_FLAGS, _STREAM, _TEXT_COUNT, _READING_COUNT, _PARAMETER, _LENGTHS = range(_STORED, _STORED + 6)
_HEADER: Final = _LENGTHS + 3  # lengths of devices, texts and ids
_HEADER_BYTES: Final = 8 * _HEADER

Part = tuple[int, int, bytes]
"""Partition, number of events, payload."""


def encode_events(batch: EventBatch) -> bytes:
    """The whole batch as one payload, also an empty one."""
    return _encode(batch, np.arange(len(batch)), np.array([len(batch)]))[0]


def cut_events(batch: EventBatch, partition: I32, partitions: int) -> list[Part]:
    """The events of each partition that has any, ascending; their order within a partition is kept.

    `partition` is per event. One pass over each column, then one copy. Names and streams stay as they are.
    """
    order, counts = _order(partition, partitions)
    found = {number: count for number, count in enumerate(counts.tolist()) if count}
    ends = np.array(list(accumulate(found.values())), np.int64)
    return list(zip(found.keys(), found.values(), _encode(batch, order, ends), strict=True))


def decode_events(payload: bytes) -> EventBatch:
    """As join_events, of one payload."""
    return join_events([payload])


def event_count(payload: bytes) -> int:
    """How many events a payload says it has, without a look at whether it was altered."""
    return int.from_bytes(payload[8 * _EVENTS : 8 * _READINGS], "little")


def join_events(payloads: Sequence[bytes]) -> EventBatch:
    """The events of these payloads in one batch, in order; always fresh, writable columns.

    Names and streams are numbered as they first appear. CorruptError where a payload was altered.
    """
    heads: I64 = np.array([_head(payload) for payload in payloads], np.int64).reshape(-1, _HEADER)
    tables = [
        _unpack(payload[_HEADER_BYTES : _HEADER_BYTES + table_bytes])
        for payload, table_bytes in zip(payloads, heads[:, _TABLE_BYTES].tolist(), strict=True)
    ]
    names, name_starts, name_numbers = _united([table[0] for table in tables])
    streams, stream_starts, stream_numbers = _united([table[1] for table in tables])
    events, readings, _, *sizes = heads[:, _EVENTS:_STORED].sum(axis=0).tolist()
    columns = _Columns(events, readings, sizes)
    # read where they lie: to lay them one after another first would copy every byte once more
    views = [np.frombuffer(payload, np.uint8) for payload in payloads]
    _join(
        np.array([view.__array_interface__["data"][0] for view in views], np.int64),
        np.array([len(view) for view in views], np.int64),
        heads,
        name_starts,
        name_numbers,
        stream_starts,
        stream_numbers,
        *columns.arrays,
    )
    return columns.batch(names, streams)


class _Columns:
    """Columns of a batch, to be filled."""

    def __init__(self, events: int, readings: int, sizes: Sequence[int]) -> None:
        offsets = [np.zeros(events + 1, np.int32) for _ in range(4)]
        data = [np.empty(size, np.uint8) for size in sizes]
        ts, flags = np.empty(events, np.int64), np.empty(events, np.uint8)
        stream, text_count = np.empty(events, np.int32), np.empty(events, np.int32)
        parameter, value = np.empty(readings, np.int32), np.empty(readings, np.float64)
        self.arrays: tuple[npt.NDArray[Any], ...] = (
            *(ts, flags, stream, text_count, parameter, value),
            *offsets,
            *data,
        )

    def batch(self, names: Names, streams: Streams) -> EventBatch:
        """The columns as a batch."""
        ts, flags, stream, text_count, parameter, value, readings, *strings = self.arrays
        device, text, event_id = (Strings(*pair) for pair in zip(strings[:3], strings[3:], strict=True))
        return EventBatch(
            device=device,
            ts=ts,
            flags=flags,
            stream=stream,
            reading_offsets=readings,
            parameter=parameter,
            value=value,
            text=text,
            text_count=text_count,
            event_id=event_id,
            names=names,
            streams=streams,
        )


def _encode(batch: EventBatch, order: I64, ends: I64) -> list[bytes]:
    """One payload for the rows of `order` up to each of `ends`."""
    table = _pack(batch.names, batch.streams)
    columns: tuple[npt.NDArray[Any], ...] = (
        batch.ts,
        batch.flags,
        batch.stream,
        batch.text_count,
        batch.parameter,
        batch.value,
        batch.reading_offsets,
        *(batch.device.offsets, batch.text.offsets, batch.event_id.offsets),
        *(batch.device.data, batch.text.data, batch.event_id.data),
    )
    # kernels are compiled for each kind of array they are given, and read-only ones are another kind
    columns = tuple(
        column if column.flags.carray else np.require(column, requirements=["C", "W"]) for column in columns
    )
    size = sum(column.nbytes for column in columns) + 4 * len(batch)  # flags are written as 32 bits
    per_payload = _HEADER_BYTES + len(table) + (_HEADER - _STORED + 4) * _PAD_BYTES
    room = np.empty((size + len(ends) * per_payload) // 8 + 1, np.int64)
    raw, written = room.view(np.uint8), np.empty(len(ends) + 1, np.int64)
    views = (raw, raw.view(np.int32), room, raw.view(np.float64))
    _write(order, ends, np.frombuffer(table, np.uint8), *views, written, *columns)
    pieces = [raw.data[start:end] for start, end in pairwise(written.tolist())]
    return [b"".join((piece, xxhash.xxh3_64_digest(piece))) for piece in pieces]


def _head(payload: bytes) -> list[int]:
    """The numbers of the header; CorruptError if this is no payload or it was altered."""
    if len(payload) < _HEADER_BYTES + _SUM_BYTES:
        raise CorruptError("a log record is too short to hold events")
    head: list[int] = np.frombuffer(payload, np.int64, _HEADER).tolist()
    if head[_IS] != _MAGIC:
        raise CorruptError("a log record holds no events in this version's format")
    if xxhash.xxh3_64_digest(memoryview(payload)[:-_SUM_BYTES]) != payload[-_SUM_BYTES:]:
        raise CorruptError("a log record does not match its checksum")
    return head


@lru_cache(maxsize=64)
def _pack(names: Names, streams: Streams) -> bytes:
    return msgspec.msgpack.encode((names, streams))


@lru_cache(maxsize=64)
def _unpack(table: bytes) -> tuple[Names, Streams]:
    return msgspec.msgpack.decode(table, type=tuple[Names, Streams])


def _united(tables: Sequence[tuple[Any, ...]]) -> tuple[tuple[Any, ...], I64, I32]:
    """The values of all tables, each once, as they first appear; and the number of each table's values.

    Those of table i begin at the i-th start.
    """
    values: dict[Any, int] = {}
    begins: dict[tuple[Any, ...], int] = {}
    numbers: list[int] = []
    for table in tables:
        if table not in begins:
            begins[table] = len(numbers)
            numbers += [values.setdefault(value, len(values)) for value in table]
    return tuple(values), np.array([begins[table] for table in tables], np.int64), np.array(numbers, np.int32)


@nb.njit(cache=True, nogil=True)
def _order(partition: I32, partitions: int) -> tuple[I64, I64]:
    """The rows by partition, and how many each partition has."""
    counts = np.zeros(partitions, np.int64)
    for i in range(len(partition)):
        counts[partition[i]] += 1
    places = np.cumsum(counts) - counts
    order = np.empty(len(partition), np.int64)
    for i in range(len(partition)):
        order[places[partition[i]]] = i
        places[partition[i]] += 1
    return order, counts


@nb.njit(cache=True, nogil=True)
def _write(
    order: I64,
    ends: I64,
    table: U8,
    raw: U8,
    ints: I32,
    longs: I64,
    floats: F64,
    written: I64,
    ts: I64,
    flags: U8,
    stream: I32,
    text_count: I32,
    parameter: I32,
    value: F64,
    readings: I32,
    devices: I32,
    texts: I32,
    ids: I32,
    device_data: U8,
    text_data: U8,
    id_data: U8,
) -> None:
    """Write one payload after another, without their sums; payload i is `written[i]:written[i+1]` of raw."""
    first, at = 0, 0
    written[0] = 0
    for part in range(len(ends)):
        rows = order[first : ends[part]]
        head = longs[at >> 3 : (at >> 3) + _HEADER]
        head[_IS], head[_EVENTS], head[_TABLE_BYTES] = _MAGIC, len(rows), len(table)
        at += _HEADER_BYTES
        raw[at : at + len(table)] = table
        at = _closed(raw, at + len(table))
        for i in range(len(rows)):
            longs[(at >> 3) + i] = ts[rows[i]]
        at += 8 * len(rows)
        head[_READINGS] = _put_values(readings, value, rows, floats, at >> 3)
        at += 8 * head[_READINGS]
        head[_FLAGS], at = _put_rows(flags, rows, raw, ints, at)
        head[_STREAM], at = _put_rows(stream, rows, raw, ints, at)
        head[_TEXT_COUNT], at = _put_rows(text_count, rows, raw, ints, at)
        head[_READING_COUNT], at = _put_lengths(readings, rows, raw, ints, at)
        head[_PARAMETER], at = _put_parameters(readings, parameter, rows, head, raw, ints, at)
        head[_LENGTHS], at = _put_lengths(devices, rows, raw, ints, at)
        head[_LENGTHS + 1], at = _put_lengths(texts, rows, raw, ints, at)
        head[_LENGTHS + 2], at = _put_lengths(ids, rows, raw, ints, at)
        head[_BYTES], at = _put_bytes(devices, device_data, rows, raw, at)
        head[_BYTES + 1], at = _put_bytes(texts, text_data, rows, raw, at)
        head[_BYTES + 2], at = _put_bytes(ids, id_data, rows, raw, at)
        first = ends[part]
        written[part + 1] = at


@nb.njit(cache=True, nogil=True)
def _padded(at: int) -> int:
    return (at + 7) & ~7


@nb.njit(cache=True, nogil=True)
def _closed(raw: U8, at: int) -> int:
    """Fill up with zeros; what is equal has equal bytes, and nothing else of the memory gets out."""
    raw[at : _padded(at)] = 0
    return _padded(at)


@nb.njit(cache=True, nogil=True)
def _put_values(readings: I32, value: F64, rows: I64, floats: F64, start: int) -> int:
    """Write the values of these events; how many there are."""
    k = start
    for i in range(len(rows)):
        for j in range(readings[rows[i]], readings[rows[i] + 1]):
            floats[k] = value[j]
            k += 1
    return k - start


@nb.njit(cache=True, nogil=True)
def _put_rows(column: npt.NDArray[Any], rows: I64, raw: U8, ints: I32, at: int) -> tuple[int, int]:
    """Write a column of one number an event; how many rows were stored, and where the next column begins."""
    start, same = at >> 2, True
    for i in range(len(rows)):
        number = nb.int32(column[rows[i]])
        ints[start + i] = number
        same &= number == ints[start]
    stored = min(len(rows), 1) if same else len(rows)
    return stored, _closed(raw, at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _put_lengths(offsets: I32, rows: I64, raw: U8, ints: I32, at: int) -> tuple[int, int]:
    """As _put_rows, the lengths of lists or strings."""
    start, same = at >> 2, True
    for i in range(len(rows)):
        length = offsets[rows[i] + 1] - offsets[rows[i]]
        ints[start + i] = length
        same &= length == ints[start]
    stored = min(len(rows), 1) if same else len(rows)
    return stored, _closed(raw, at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _put_parameters(
    readings: I32, parameter: I32, rows: I64, head: I64, raw: U8, ints: I32, at: int
) -> tuple[int, int]:
    """As _put_rows, a number a reading; those of one event are stored when all events have the same."""
    start = at >> 2
    k = start
    for i in range(len(rows)):
        for j in range(readings[rows[i]], readings[rows[i] + 1]):
            ints[k] = parameter[j]
            k += 1
    stored = k - start
    if head[_READING_COUNT] == 1:
        period = nb.int64(readings[rows[0] + 1] - readings[rows[0]])
        same = True
        for i in range(start + period, k):
            same &= ints[i] == ints[i - period]
        stored = period if same else stored
    return stored, _closed(raw, at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _put_bytes(offsets: I32, data: U8, rows: I64, raw: U8, at: int) -> tuple[int, int]:
    """Write strings one after another; how many bytes, and where the next column begins."""
    source, target, k = address_of(data), address_of(raw), at
    for i in range(len(rows)):
        j, end = nb.int64(offsets[rows[i]]), nb.int64(offsets[rows[i] + 1])
        following = k + end - j
        while j < end:
            if j + 8 <= len(data) and k + 8 <= len(raw):  # what is too much is written over
                store_u64(target + k, load_u64(source + j))
                j, k = j + 8, k + 8
            else:
                raw[k] = data[j]
                j, k = j + 1, k + 1
        k = following
    return k - at, _closed(raw, k)


@nb.njit(cache=True, nogil=True)
def _join(
    addresses: I64,
    lengths: I64,
    heads: I64,
    name_starts: I64,
    name_numbers: I32,
    stream_starts: I64,
    stream_numbers: I32,
    ts: I64,
    flags: U8,
    stream: I32,
    text_count: I32,
    parameter: I32,
    value: F64,
    readings: I32,
    devices: I32,
    texts: I32,
    ids: I32,
    device_data: U8,
    text_data: U8,
    id_data: U8,
) -> None:
    """Fill the columns from the payloads at these addresses."""
    event, reading = 0, 0
    for part in range(len(heads)):
        raw = bytes_at(addresses[part], lengths[part])
        ints, longs, floats = raw.view(np.int32), raw.view(np.int64), raw.view(np.float64)
        head, at = heads[part], _HEADER_BYTES
        n, m = head[_EVENTS], head[_READINGS]
        names, streams = name_numbers[name_starts[part] :], stream_numbers[stream_starts[part] :]
        at = _padded(at + head[_TABLE_BYTES])
        ts[event : event + n] = longs[at >> 3 : (at >> 3) + n]
        at += 8 * n
        value[reading : reading + m] = floats[at >> 3 : (at >> 3) + m]
        at += 8 * m
        at = _get_rows(ints, at, head[_FLAGS], flags[event : event + n])
        at = _get_numbers(ints, at, head[_STREAM], streams, stream[event : event + n])
        at = _get_rows(ints, at, head[_TEXT_COUNT], text_count[event : event + n])
        at = _get_lengths(ints, at, head[_READING_COUNT], readings[event : event + n + 1])
        at = _get_numbers(ints, at, head[_PARAMETER], names, parameter[reading : reading + m])
        at = _get_lengths(ints, at, head[_LENGTHS], devices[event : event + n + 1])
        at = _get_lengths(ints, at, head[_LENGTHS + 1], texts[event : event + n + 1])
        at = _get_lengths(ints, at, head[_LENGTHS + 2], ids[event : event + n + 1])
        at = _get_bytes(raw, at, device_data[devices[event] : devices[event + n]])
        at = _get_bytes(raw, at, text_data[texts[event] : texts[event + n]])
        at = _get_bytes(raw, at, id_data[ids[event] : ids[event + n]])
        event, reading = event + n, reading + m


@nb.njit(cache=True, nogil=True)
def _get_rows(ints: I32, at: int, stored: int, out: npt.NDArray[Any]) -> int:
    """Fill a column from the rows stored of it; where the next column begins."""
    start = at >> 2
    if stored == 1:
        out[:] = ints[start]
    else:
        for i in range(len(out)):
            out[i] = ints[start + i]
    return _padded(at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _get_numbers(ints: I32, at: int, stored: int, numbers: I32, out: I32) -> int:
    """As _get_rows, of indexes into a payload's table; they repeat after `stored` rows."""
    start, k = at >> 2, 0
    for i in range(len(out)):
        out[i] = numbers[ints[start + k]]
        k = k + 1 if k + 1 < stored else 0
    return _padded(at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _get_lengths(ints: I32, at: int, stored: int, offsets: I32) -> int:
    """As _get_rows, of lengths: the offsets go on from the first of them."""
    start, step = at >> 2, nb.int64(stored > 1)
    for i in range(len(offsets) - 1):
        offsets[i + 1] = offsets[i] + ints[start + step * i]
    return _padded(at + 4 * stored)


@nb.njit(cache=True, nogil=True)
def _get_bytes(raw: U8, at: int, out: U8) -> int:
    out[:] = raw[at : at + len(out)]
    return _padded(at + len(out))
