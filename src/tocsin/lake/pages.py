"""Parquet files of fresh events, straight from columns.

Arrow's writer spends most of its time on finding out how the readings nest, which the columns already say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.events import I32, Strings
from tocsin.lake.columns import EventColumns
from tocsin.lake.encodings import deltas, entry_levels, levels, packed, plain_strings
from tocsin.lake.thrift import Long, Struct, encode

PAGE_ROWS: Final = 1 << 17

_MAGIC: Final = b"PAR1"
_PLAIN, _RLE, _DELTA, _DICTIONARY = 0, 3, 5, 8
_INT32, _INT64, _DOUBLE, _BYTES = 1, 2, 5, 6
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
_STRING: Final[Struct] = {6: 0, 10: {1: {}}}
_TIME: Final[Struct] = {6: 10, 10: {8: {1: True, 2: {2: {}}}}}

Parts = list[bytes | memoryview]
"""Bytes one after another; large ones are views of the columns, so that nothing is copied before the disk."""

Body = tuple[int, Parts]
"""How many entries a page has, nulls and empty lists included, and its bytes."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: Parquet type, encoding, path, annotation, the body of a page of rows, and its dictionary."""

    kind: int
    encoding: int
    path: tuple[str, ...]
    page: Callable[[int, int], Body]
    optional: bool = False
    annotation: Struct | None = None
    dictionary: Strings | None = None


def event_file(columns: EventColumns, *, name_streams: bool) -> Parts:
    """The file of these events, not empty, with the columns of `events` in their order; one row group."""
    return _file(_columns(columns, name_streams=name_streams), len(columns))


def _file(columns: Sequence[_Column], rows: int) -> Parts:
    parts: Parts = [_MAGIC]
    position = len(_MAGIC)
    chunks: list[Struct] = []
    for column in columns:
        written, chunk = _chunk(column, rows, position)
        parts += written
        position += sum(map(len, written))
        chunks.append(chunk)
    group: Struct = {1: chunks, 2: Long(position - len(_MAGIC)), 3: Long(rows)}
    footer = encode({1: 2, 2: _schema(columns), 3: Long(rows), 4: [group], 6: "tocsin"})
    parts += [footer, len(footer).to_bytes(4, "little"), _MAGIC]
    return parts


def _columns(columns: EventColumns, *, name_streams: bool) -> list[_Column]:
    applications, versions = (Strings.of([pair[at] for pair in columns.streams]) for at in (0, 1))
    stream = columns.stream if name_streams else None
    return [
        _coded("device", columns.device, columns.devices),
        _integers("ts", columns.ts * 1000, _INT64, _TIME),
        _integers("arrival", columns.arrival * 1000, _INT64, _TIME),
        _keys(columns),
        _values(columns),
        _texts("text", columns.text),
        _integers("text_count", columns.text_count, _INT32),
        _texts("id", columns.event_id),
        _integers("flags", columns.flags, _INT32),
        _integers("log_partition", columns.partition, _INT32),
        _integers("log_offset", columns.offset, _INT64),
        _stream_names("sent_application", stream, applications),
        _stream_names("sent_version", stream, versions),
    ]


def _integers(name: str, values: Any, kind: int, annotation: Struct | None = None) -> _Column:
    def page(first: int, last: int) -> Body:
        return last - first, [deltas(values[first:last].astype(np.int64))]

    return _Column(kind, _DELTA, (name,), page, annotation=annotation)


def _coded(name: str, codes: I32, names: Strings) -> _Column:
    width = _width(names)

    def page(first: int, last: int) -> Body:
        return last - first, [bytes([width]) + packed(codes[first:last], width)]

    return _Column(_BYTES, _DICTIONARY, (name,), page, annotation=_STRING, dictionary=names)


def _stream_names(name: str, codes: I32 | None, names: Strings) -> _Column:
    """A column that is either all there or all null."""
    width = _width(names)

    def page(first: int, last: int) -> Body:
        rows = last - first
        present = levels(np.full(rows, codes is not None, np.uint8))
        if codes is None:
            return rows, [present]
        return rows, [present + bytes([width]) + packed(codes[first:last], width)]

    encoding, dictionary = (_DICTIONARY, names) if codes is not None else (_PLAIN, None)
    return _Column(_BYTES, encoding, (name,), page, optional=True, annotation=_STRING, dictionary=dictionary)


def _texts(name: str, texts: Strings) -> _Column:
    """A column in which an empty string is null."""

    def page(first: int, last: int) -> Body:
        offsets = texts.offsets[first : last + 1]
        present = offsets[1:] > offsets[:-1]
        kept = np.concatenate([offsets[:1], offsets[1:][present]])
        return last - first, [levels(present.astype(np.uint8)), plain_strings(kept, texts.data)]

    return _Column(_BYTES, _PLAIN, (name,), page, optional=True, annotation=_STRING)


def _keys(columns: EventColumns) -> _Column:
    names = Strings.of(list(columns.names))
    width = _width(names)

    def page(first: int, last: int) -> Body:
        count, nesting, start, end = _nesting(columns.reading_offsets, first, last)
        return count, [nesting + bytes([width]) + packed(columns.parameter[start:end], width)]

    path = ("readings", "key_value", "key")
    return _Column(_BYTES, _DICTIONARY, path, page, annotation=_STRING, dictionary=names)


def _values(columns: EventColumns) -> _Column:
    def page(first: int, last: int) -> Body:
        count, nesting, start, end = _nesting(columns.reading_offsets, first, last)
        return count, [nesting, columns.value[start:end].view(np.uint8).data]

    return _Column(_DOUBLE, _PLAIN, ("readings", "key_value", "value"), page)


def _nesting(offsets: I32, first: int, last: int) -> tuple[int, bytes, int, int]:
    """Entries and levels of the rows' readings, and which readings they are."""
    repeated, defined = entry_levels(offsets[first : last + 1])
    return len(repeated), levels(repeated) + levels(defined), int(offsets[first]), int(offsets[last])


def _width(names: Strings) -> int:
    return max(1, (len(names) - 1).bit_length())


def _chunk(column: _Column, rows: int, position: int) -> tuple[Parts, Struct]:
    """The pages of a column, and their description."""
    written: Parts = []
    if column.dictionary is not None:
        names = plain_strings(column.dictionary.offsets, column.dictionary.data)
        written += [_header(2, len(names), {7: {1: len(column.dictionary), 2: _PLAIN}}), names]
    data_start = position + sum(map(len, written))
    entries = 0
    for first in range(0, rows, PAGE_ROWS):
        count, body = column.page(first, min(rows, first + PAGE_ROWS))
        entries += count
        page: Struct = {5: {1: count, 2: column.encoding, 3: _RLE, 4: _RLE}}
        written += [_header(0, sum(map(len, body)), page), *body]
    size = Long(sum(map(len, written)))
    metadata: Struct = {
        1: column.kind,
        2: sorted({column.encoding, _RLE, _PLAIN}),
        3: list(column.path),
        4: 0,
        5: Long(entries),
        6: size,
        7: size,
        9: Long(data_start),
        11: Long(position) if column.dictionary is not None else None,
    }
    return written, {2: Long(position), 3: metadata}


def _header(kind: int, size_bytes: int, content: Struct) -> bytes:
    return encode({1: kind, 2: size_bytes, 3: size_bytes, **content})


def _schema(columns: Sequence[_Column]) -> list[Struct]:
    top = list(dict.fromkeys(column.path[0] for column in columns))
    elements: list[Struct] = [{4: "schema", 5: len(top)}]
    for column in columns:
        if column.path[-1] == "key":
            elements.append({3: _REQUIRED, 4: "readings", 5: 1, 6: 1, 10: {2: {}}})
            elements.append({3: _REPEATED, 4: "key_value", 5: 2})
        repetition = _OPTIONAL if column.optional else _REQUIRED
        elements.append({1: column.kind, 3: repetition, 4: column.path[-1], **(column.annotation or {})})
    return elements
