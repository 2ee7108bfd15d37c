"""Columns of time as milliseconds since 1970, UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.clock import FIRST_MS, LAST_MS
from tocsin.errors import InvalidInputError
from tocsin.events import I64
from tocsin.files.mapping import UNITS_PER_S, read_format
from tocsin.files.tables import Bools

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
# Days before months, as all who write points between them do; slashes may mean either.
_REWRITES: Final = (
    (r"^([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(,? +|T|$)", r"\3-\2-\1 "),
    (r"^([0-9]{4})[/.]([0-9]{1,2})[/.]([0-9]{1,2})(,? +|T|$)", r"\1-\2-\3 "),
    (r"^([0-9]{4})-([0-9])-", r"\1-0\2-"),
    (r"^([0-9]{4}-[0-9]{2})-([0-9])( |$)", r"\1-0\2\3"),
    (r"^([0-9-]{10}) ([0-9]):", r"\1 0\2:"),
)
_ZONE: Final = r"(Z|[+-]\d\d(:?\d\d)?)$"


def to_milliseconds(
    column: pa.Array, unit: str, name: str, time_format: str | None = None
) -> tuple[I64, Bools]:
    """Milliseconds and which rows have a time; the others are null, unreadable or beyond the years 1–9999.

    What is finer than a millisecond is cut off. `unit` is that of plain numbers; with `time_format` all
    are read as text in that format, as by strptime.
    """
    if time_format is not None:
        column = column.cast(pa.string())
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        ms, valid = _from_stamps(column)
    elif pa.types.is_integer(kind):
        ms, valid = _from_integers(column, unit)
    elif pa.types.is_floating(kind):
        ms, valid = _from_floats(column, unit)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        ms, valid = _from_text(column, unit, time_format)
    else:
        raise InvalidInputError(f"column {name!r} holds {kind}, which is no time", field=name)
    valid &= (ms >= FIRST_MS) & (ms <= LAST_MS)
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
    if UNITS_PER_S[unit] > 1000:
        return raw // (UNITS_PER_S[unit] // 1000), _valid(column)
    scale = 1000 // UNITS_PER_S[unit]
    # Numbers too large to multiply are no times at all: the bound keeps them from wrapping into one.
    fits = (raw >= -LAST_MS) & (raw <= LAST_MS)  # the least number has no absolute value
    return np.where(fits, raw, 0) * scale, _valid(column) & fits


def _from_floats(column: pa.Array, unit: str) -> tuple[I64, Bools]:
    raw = np.asarray(column.fill_null(np.nan)).astype(np.float64)
    scaled = raw * (1000 / UNITS_PER_S[unit])
    fits = np.isfinite(scaled) & (np.abs(scaled) <= LAST_MS)
    return np.rint(np.where(fits, scaled, 0)).astype(np.int64), fits


def _from_text(column: pa.Array, unit: str, time_format: str | None) -> tuple[I64, Bools]:
    """Dates and times, or numbers in text; a whole column by Arrow if it is regular, else row by row."""
    column = pc.utf8_trim_whitespace(column)
    if time_format is None:
        for pattern, replacement in _REWRITES:
            column = pc.replace_substring_regex(column, pattern, replacement)
        try:
            return _from_regular_text(column)
        except pa.ArrowInvalid:
            pass
    parsed = [parse_time(text, unit, time_format) for text in column.to_pylist()]
    ms = np.array([0 if value is None else value for value in parsed], np.int64)
    return ms, np.array([value is not None for value in parsed], np.bool_)


def _from_regular_text(column: pa.Array) -> tuple[I64, Bools]:
    zoned = pc.match_substring_regex(column, _ZONE)
    if pc.all(zoned).as_py():
        return _from_stamps(column.cast(pa.timestamp("ns", "UTC")))
    if pc.any(zoned).as_py():
        raise pa.ArrowInvalid("some have a zone, some have none")
    return _from_stamps(column.cast(pa.timestamp("ns")))


def parse_time(text: str | None, unit: str, time_format: str | None = None) -> int | None:
    """A time written as text: by the format if there is one, else a number in `unit`, or a date; or None."""
    if text is None:
        return None
    if time_format is not None:
        return _milliseconds(lambda: read_format(text, time_format))
    # Numbers first: Python would read 17110101 as a day of the year 1711.
    try:
        ms, valid = _from_floats(pa.array([float(text)]), unit)
        return int(ms[0]) if valid[0] else None
    except ValueError:
        return _milliseconds(lambda: datetime.fromisoformat(year_first(text)))


def year_first(text: str) -> str:
    """A date that can be read in one way only, as ISO 8601 has it; any other text as it is.

    >>> year_first("5.1.2023, 9:00"), year_first("2023/01/05"), year_first("05/01/2023")
    ('2023-01-05 09:00', '2023-01-05', '05/01/2023')
    """
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    return text.rstrip()


def _milliseconds(read: Callable[[], datetime]) -> int | None:
    try:
        stamp = read()
    except ValueError:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return (stamp - _EPOCH) // _MS
