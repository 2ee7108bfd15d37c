"""A look at the first times of a file: in which unit they are, and whether they can be meant so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError
from tocsin.events import F64, I64
from tocsin.files.mapping import UNITS_PER_S, Mapping
from tocsin.files.tables import is_number
from tocsin.files.times import to_milliseconds, year_first
from tocsin.visible import visible

_FIRST_S: Final = 946_684_800  # 2000-01-01, before which no device sent anything
_LAST_S: Final = 4_102_444_800  # 2100-01-01
_NEARLY_ALL: Final = 0.9
_SHOWN_CHARACTERS: Final = 40
_NUMBER: Final = r"^[0-9]+\.?[0-9]*$"
_EITHER_WAY: Final = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})([ T]|, )?(.*)")
_UNIT_NAMES: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True, slots=True)
class TimeLook:
    """How the numbers of a column of times are to be read, and what people should know of it."""

    unit: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def look_at_times(column: pa.Array, name: str, mapping: Mapping, *, must_read: bool = True) -> TimeLook:
    """The unit as asked for, else by the size of the numbers, else milliseconds.

    `column` holds the first times of the file. InvalidInputError if not one of them can be read, unless
    that is told elsewhere; it says which option to give.
    """
    guessed = None if mapping.time_unit or mapping.time_format else guess_unit(_numbers(column))
    unit = mapping.time_unit or guessed or "ms"
    ms, valid = to_milliseconds(column, unit, name, mapping.time_format)
    present = column.drop_null()
    if not valid.any():
        if len(present) and must_read:
            raise _unreadable(str(present[0].as_py()), name, mapping)
        return TimeLook(unit)
    first = f"the first is {_iso(int(ms[valid][0]))}"
    notes = []
    if guessed not in {None, "ms"}:
        notes.append(
            f"times in {visible(name)!r} have the size of {_UNIT_NAMES[unit]} since 1970 and are read so "
            f"({first}); --time-unit says otherwise"
        )
    text = visible(str(column.filter(pa.array(valid))[0].as_py()).strip())
    if mapping.time_format is None and year_first(text) != text:
        notes.append(f"times in {visible(name)!r} such as {text!r} are read as UTC: {first}")
    return TimeLook(unit, tuple(notes), _warnings(ms[valid], name, first))


def guess_unit(numbers: F64) -> str | None:
    """The one unit in which nearly all numbers lie in the years 2000 to 2099; None = no telling.

    >>> guess_unit(np.array([1_700_049_600.5, 1_700_049_660.0])), guess_unit(np.array([1.0, 2.0]))
    ('s', None)
    """
    for unit, per_s in UNITS_PER_S.items():
        fits = (numbers >= _FIRST_S * per_s) & (numbers < _LAST_S * per_s)
        if len(numbers) and fits.mean() >= _NEARLY_ALL:
            return unit
    return None


def _numbers(column: pa.Array) -> F64:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = column.filter(pc.match_substring_regex(column, _NUMBER))
    elif not is_number(column.type):
        return np.zeros(0)
    return np.asarray(column.drop_null().cast(pa.float64(), safe=False))


def _warnings(ms: I64, name: str, first: str) -> tuple[str, ...]:
    early, late = int((ms < _FIRST_S * 1000).sum()), int((ms >= _LAST_S * 1000).sum())
    if early + late < _NEARLY_ALL * len(ms):
        return ()
    where = "before 2000" if early >= late else "after 2099"
    said = f"{max(early, late)} of the first {len(ms)} times in {visible(name)!r} lie {where} ({first})"
    return (f"{said}: if that is wrong, say --time-unit, --time-format or --time-column",)


def _unreadable(text: str, name: str, mapping: Mapping) -> InvalidInputError:
    shown = visible(text)[:_SHOWN_CHARACTERS]
    said = f"no time in {visible(name)!r} can be read; the first is {shown!r}"
    if mapping.time_format is not None:
        return InvalidInputError(f"{said}: it has not the --time-format given", field="time_format")
    if either := _EITHER_WAY.fullmatch(text.strip()):
        sign, rest = either[2], _rest_of_format(either)
        return InvalidInputError(
            f"{said}, where day or month may come first: say --time-format '%d{sign}%m{rest}' "
            f"or --time-format '%m{sign}%d{rest}'",
            field="time_format",
        )
    return InvalidInputError(
        f"{said}: name another column with --time-column, or say how it is written, such as "
        "--time-unit s or --time-format '%Y-%m-%d %H:%M:%S'",
        field="time_column",
    )


def _rest_of_format(date: re.Match[str]) -> str:
    """What follows day and month in the format of a time that was found."""
    clock = re.sub(r"\.[0-9]+$", ".%f", re.sub(r"^[0-9]+", "%H", date[6]))
    clock = re.sub(r":[0-9]+", ":%S", re.sub(r":[0-9]+", ":%M", clock, count=1))
    if re.search(r"(?i) ?[ap]m$", clock):
        clock = re.sub(r"(?i)[ap]m$", "%p", clock).replace("%H", "%I")
    return f"{date[2]}{'%Y' if len(date[4]) == 4 else '%y'}{date[5] or ''}{clock}"


def _iso(ms: int) -> str:
    stamp = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return stamp.strftime("%Y-%m-%dT%H:%M:%SZ")
