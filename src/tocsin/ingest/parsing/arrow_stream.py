"""An Arrow IPC stream into events, column by column."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import TooLargeError
from tocsin.events import F64, I32, I64, EventBatch, Strings, empty_text
from tocsin.ingest.parsing._arrow_faults import Bools, RowFaults
from tocsin.ingest.parsing._arrow_table import is_numeric, read_table
from tocsin.ingest.parsing.event import RESERVED, canonical_text
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.merging import renumber
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.parsing.timestamp import TS_MAX_MS, TS_MIN_MS
from tocsin.model import MAX_EXACT_INTEGER

_UNITS_PER_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_MS_PER_S: Final = 1000
_TEXT_ROWS: Final = 4096  # rows that are Python objects at a time


def parse_arrow(body: bytes, limits: ParseLimits) -> ParsedBody:
    """Columns `device`, `ts` (a timestamp of any unit and zone, or integer ms) and fields; null is absent.

    Numeric columns are parameters, strings and booleans text (which cost some µs a row). Rows fail one
    by one; a damaged stream or a column of another type is refused as a whole with InvalidInputError.
    """
    table = read_table(body, limits)
    faults = RowFaults(table.num_rows)
    fields = [name for name in table.column_names if name not in RESERVED]
    numeric = [name for name in fields if is_numeric(table.schema.field(name).type)]
    value, present = _readings(table, numeric, faults)
    device = _names(table, "device", faults, limits)
    ts = _timestamps(table.column("ts").combine_chunks(), faults)
    application, version, event_id = (
        _names(table, name, faults, limits) for name in ("application", "version", "id")
    )
    text, text_count = _texts(table, [name for name in fields if name not in numeric], limits)
    stream, streams = _streams(application, version)
    offsets = np.zeros(table.num_rows + 1, np.int32)
    np.cumsum(present.sum(axis=1), out=offsets[1:])
    batch = EventBatch(
        device=device,
        ts=ts,
        flags=np.zeros(table.num_rows, np.uint8),
        stream=stream,
        reading_offsets=offsets,
        parameter=np.nonzero(present)[1].astype(np.int32),
        value=value[present],
        text=text,
        text_count=text_count,
        event_id=event_id,
        names=tuple(numeric),
        streams=streams,
    )
    good = np.flatnonzero(faults.good)
    line = (good + 1).astype(np.int32)
    return ParsedBody(renumber(batch.take(good)), line, faults.errors(table), table.num_rows)


def _readings(table: Any, numeric: list[str], faults: RowFaults) -> tuple[F64, Bools]:
    """Values by row and column, and which of them are there."""
    value = np.zeros((table.num_rows, len(numeric)))
    present = np.zeros((table.num_rows, len(numeric)), np.bool_)
    for number, name in enumerate(numeric):
        column = table.column(name).combine_chunks()
        there: Bools = column.is_valid().to_numpy(zero_copy_only=False)
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        if np.issubdtype(numbers.dtype, np.integer):
            wrong = (numbers > MAX_EXACT_INTEGER) | (numbers < -MAX_EXACT_INTEGER)
            faults.note(wrong, LineCode.NUMBER_OUT_OF_RANGE, name, "The integer is beyond ±2^53")
        else:
            wrong = ~np.isfinite(numbers)
            faults.note(wrong, LineCode.NUMBER_NOT_FINITE, name, "The value is not a finite number")
        value[:, number] = np.where(wrong, 0, numbers) + 0.0  # adding 0.0 makes -0.0 positive
        present[:, number] = there
    return value, present


def _timestamps(column: Any, faults: RowFaults) -> I64:
    missing: Bools = column.is_null().to_numpy(zero_copy_only=False)
    faults.note(missing, LineCode.MISSING_FIELD, "ts", "The event has no time stamp")
    lowest, highest, scale = TS_MIN_MS, TS_MAX_MS, 1
    if pa.types.is_timestamp(column.type):
        unit = column.type.unit
        column = column.cast(pa.int64())
        if unit == "s":
            lowest, highest, scale = TS_MIN_MS // _MS_PER_S, TS_MAX_MS // _MS_PER_S, _MS_PER_S
        else:
            column = _floor_divide(column, _UNITS_PER_MS[unit])
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    wrong: Bools = (numbers < lowest) | (numbers > highest)
    faults.note(wrong, LineCode.INVALID_TIMESTAMP, "ts", "The time stamp is outside the years 1 to 9999")
    ts: I64 = np.where(wrong, 0, numbers).astype(np.int64) * scale
    return ts


def _floor_divide(column: Any, units: int) -> Any:
    """Towards the past, as texts are cut off; Arrow's own division goes towards zero."""
    return pa.array(column.fill_null(0).to_numpy(zero_copy_only=False) // units)


def _names(table: Any, name: str, faults: RowFaults, limits: ParseLimits) -> Strings:
    """A reserved text column; "" where it is absent, which only `device` may not be."""
    if name not in table.column_names:
        return empty_text(table.num_rows)
    column = table.column(name).combine_chunks().fill_null("")
    lengths: npt.NDArray[Any] = pc.utf8_length(column).to_numpy(zero_copy_only=False)
    if name == "device":
        faults.note(lengths == 0, LineCode.MISSING_FIELD, name, "The event names no device")
    message = f"The field {name!r} has more than {limits.name_characters} characters"
    faults.note(lengths > limits.name_characters, LineCode.NAME_TOO_LONG, name, message)
    return _strings(column)


def _strings(column: Any) -> Strings:
    """The memory of a string column without nulls, from its first string to its last."""
    _, offsets, data = column.buffers()
    ends: I32 = np.frombuffer(offsets or bytes(4), np.int32)[column.offset : column.offset + len(column) + 1]
    octets = np.frombuffer(data or b"", np.uint8)
    return Strings(ends - ends[0], octets[ends[0] : ends[-1]].copy())


def _texts(table: Any, names: list[str], limits: ParseLimits) -> tuple[Strings, I32]:
    if not names:
        return empty_text(table.num_rows), np.zeros(table.num_rows, np.int32)
    texts: list[str] = []
    counts: list[int] = []
    size = 0
    for start in range(0, table.num_rows, _TEXT_ROWS):
        for row in table.select(names).slice(start, _TEXT_ROWS).to_pylist():
            fields = {name: value for name, value in row.items() if value is not None}
            texts.append(canonical_text(fields))
            counts.append(len(fields))
            size += len(texts[-1])
        if size > limits.body_bytes:
            raise TooLargeError(
                f"The text fields unfold to more than {limits.body_bytes} bytes; send it in parts."
            )
    return Strings.of(texts), np.array(counts, np.int32)


def _streams(application: Strings, version: Strings) -> tuple[I32, tuple[tuple[str, str], ...]]:
    """Pairs of application and version, numbered as they first appear."""
    if len(application.data) == 0 and len(version.data) == 0:
        return np.zeros(len(application), np.int32), (("", ""),)
    numbers: dict[tuple[str, str], int] = {}
    pairs = zip(application.tolist(), version.tolist(), strict=True)
    stream = [numbers.setdefault(pair, len(numbers)) for pair in pairs]
    return np.array(stream, np.int32), tuple(numbers)
