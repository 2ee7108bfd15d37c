"""Columns of time as milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError
from tocsin.events import I64
from tocsin.files.mapping import UNITS_PER_S
from tocsin.files.tables import Bools

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_FIRST_MS: Final = -62_135_596_800_000  # year 1
_LAST_MS: Final = 253_402_300_799_999  # year 9999
_ZONE: Final = r"(Z|[+-]\d\d(:?\d\d)?)$"


def to_milliseconds(column: pa.Array, unit: str, name: str) -> tuple[I64, Bools]:
    """Milliseconds and which rows have a time; the others are null, unreadable or beyond the years 1–9999.

    What is finer than a millisecond is cut off. `unit` is that of plain numbers.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        ms, valid = _from_stamps(column)
    elif pa.types.is_integer(kind):
        ms, valid = _from_integers(column, unit)
    elif pa.types.is_floating(kind):
        ms, valid = _from_floats(column, unit)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        ms, valid = _from_text(column, unit)
    else:
        raise InvalidInputError(f"column {name!r} holds {kind}, which is no time", field=name)
    valid &= (ms >= _FIRST_MS) & (ms <= _LAST_MS)
    return ms, valid


def _valid(column: pa.Array) -> Bools:
    return np.asarray(column.is_valid())


def _from_stamps(column: pa.Array) -> tuple[I64, Bools]:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    per_ms = {"s": 0, "ms": 1, "us": 1_000, "ns": 1_000_000}[column.type.unit]
    raw = np.asarray(column.cast(pa.int64()).fill_null(0))
    return (raw // per_ms if per_ms else raw * 1000), _valid(column)


def _from_integers(column: pa.Array, unit: str) -> tuple[I64, Bools]:
    raw = np.asarray(column.fill_null(0)).astype(np.int64)
    if unit == "us":
        return raw // 1000, _valid(column)
    scale = 1000 // UNITS_PER_S[unit]
    # Numbers too large to multiply are no times at all: the bound keeps them from wrapping into one.
    fits = np.abs(raw) <= _LAST_MS
    return np.where(fits, raw, 0) * scale, _valid(column) & fits


def _from_floats(column: pa.Array, unit: str) -> tuple[I64, Bools]:
    raw = np.asarray(column.fill_null(np.nan)).astype(np.float64)
    scaled = raw * (1000 / UNITS_PER_S[unit])
    fits = np.isfinite(scaled) & (np.abs(scaled) <= _LAST_MS)
    return np.rint(np.where(fits, scaled, 0)).astype(np.int64), fits


def _from_text(column: pa.Array, unit: str) -> tuple[I64, Bools]:
    """ISO 8601, or numbers in text; a whole column by Arrow if it is regular, else row by row."""
    column = pc.utf8_trim_whitespace(column)
    zoned = pc.match_substring_regex(column, _ZONE)
    try:
        if pc.all(zoned).as_py():
            return _from_stamps(column.cast(pa.timestamp("ns", "UTC")))
        if not pc.any(zoned).as_py():
            return _from_stamps(column.cast(pa.timestamp("ns")))
    except pa.ArrowInvalid:
        pass
    parsed = [parse_time(text, unit) for text in column.to_pylist()]
    ms = np.array([0 if value is None else value for value in parsed], np.int64)
    return ms, np.array([value is not None for value in parsed], np.bool_)


def parse_time(text: str | None, unit: str) -> int | None:
    """A time written as text: a number in `unit`, or ISO 8601; None if it is neither."""
    if text is None:
        return None
    # Numbers first: Python would read 17110101 as a day of the year 1711.
    try:
        ms, valid = _from_floats(pa.array([float(text)]), unit)
        return int(ms[0]) if valid[0] else None
    except ValueError:
        return _parse_iso(text)


def _parse_iso(text: str) -> int | None:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return (stamp - _EPOCH) // _MS
