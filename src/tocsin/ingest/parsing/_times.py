"""Compiled reading of time stamps."""

from __future__ import annotations

from typing import Final

import numba as nb

from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._numbers import scan_digits
from tocsin.ingest.parsing._strings import QUOTE
from tocsin.ingest.parsing.timestamp import TS_MAX_MS, TS_MIN_MS
from tocsin.intrinsics import load_i64, load_u8

_NEVER: Final = -(1 << 62)
_MILLISECOND_DIGITS: Final = 15


@nb.njit(cache=True, nogil=True)
def scan_timestamp(at: int, block: int) -> tuple[int, int]:
    """The place after the value of `ts`, and its milliseconds; place 0 = the careful reader must look."""
    if load_u8(at) == QUOTE:
        at, ts = _scan_rfc3339(at + 1, block)
    else:
        at, ts = _scan_milliseconds(at)
    if at == 0 or ts < TS_MIN_MS or ts > TS_MAX_MS:
        return 0, 0
    return at, ts


@nb.njit(cache=True, nogil=True)
def _scan_milliseconds(at: int) -> tuple[int, int]:
    negative = load_u8(at) == 0x2D
    start = at + negative
    number, end = scan_digits(start, 0)
    length = end - start
    if length == 0 or length > _MILLISECOND_DIGITS or (length > 1 and load_u8(start) == 0x30):
        return 0, 0
    follows = load_u8(end)
    if follows == 0x2E or follows | 0x20 == 0x65:  # a fraction or exponent makes it no integer
        return 0, 0
    return end, (-number if negative else number)


@nb.njit(cache=True, nogil=True)
def _scan_rfc3339(at: int, block: int) -> tuple[int, int]:
    minute_ms = _minute_ms(at, block)
    seconds = two_digits(at + 17)
    if minute_ms == _NEVER or load_u8(at + 16) != 0x3A or seconds < 0 or seconds > 59:
        return 0, 0
    ts = minute_ms + seconds * 1000
    at += 19
    if load_u8(at) == 0x2E:
        start = at + 1
        _, at = scan_digits(start, 0)
        if at == start:
            return 0, 0
        ts += _first_three_digits(start, at)
    if load_u8(at) | 0x20 == 0x7A:
        at += 1
    else:
        offset_min = _offset_min(at)
        if offset_min == _NEVER:
            return 0, 0
        ts -= offset_min * 60_000
        at += 6
    return (at + 1, ts) if load_u8(at) == QUOTE else (0, 0)


@nb.njit(cache=True, nogil=True)
def _minute_ms(at: int, block: int) -> int:
    """Milliseconds of "YYYY-MM-DDTHH:MM", remembered, since neighbours mostly share the minute."""
    upper, lower = load_i64(at), load_i64(at + 8)
    if upper == slot.get(block, slot.MINUTE_TEXT) and lower == slot.get(block, slot.MINUTE_TEXT + 1):
        return slot.get(block, slot.MINUTE_MS)  # type: ignore[no-any-return]
    minute_ms = _read_minute(at)
    if minute_ms != _NEVER:
        slot.put(block, slot.MINUTE_TEXT, upper)
        slot.put(block, slot.MINUTE_TEXT + 1, lower)
        slot.put(block, slot.MINUTE_MS, minute_ms)
    return minute_ms


@nb.njit(cache=True, nogil=True)
def _read_minute(at: int) -> int:
    century, year = two_digits(at), two_digits(at + 2)
    month, day = two_digits(at + 5), two_digits(at + 8)
    hour, minute = two_digits(at + 11), two_digits(at + 14)
    if century < 0 or year < 0 or month < 1 or day < 1 or hour < 0 or minute < 0:
        return _NEVER
    between = load_u8(at + 10)
    if load_u8(at + 4) != 0x2D or load_u8(at + 7) != 0x2D or load_u8(at + 13) != 0x3A:
        return _NEVER
    if between | 0x20 != 0x74 and between != 0x20:
        return _NEVER
    year += 100 * century
    if year < 1 or month > 12 or day > days_in_month(year, month) or hour > 23 or minute > 59:
        return _NEVER
    return ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60_000


@nb.njit(cache=True, nogil=True)
def days_in_month(year: int, month: int) -> int:
    """Days of a month of the Gregorian calendar."""
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


@nb.njit(cache=True, nogil=True)
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; years are counted from March, so that the leap day comes last."""
    if month <= 2:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400
    return days + (153 * (month - 3) + 2) // 5 + day - 719_469


@nb.njit(cache=True, nogil=True)
def _offset_min(at: int) -> int:
    """Minutes of "+HH:MM" east of Greenwich."""
    sign, hours, minutes = load_u8(at), two_digits(at + 1), two_digits(at + 4)
    if sign not in (0x2B, 0x2D) or load_u8(at + 3) != 0x3A:
        return _NEVER
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return _NEVER
    return -(hours * 60 + minutes) if sign == 0x2D else hours * 60 + minutes


@nb.njit(cache=True, nogil=True)
def two_digits(at: int) -> int:
    """The number of two digits, -1 if they are none."""
    tens, ones = load_u8(at) - 0x30, load_u8(at + 1) - 0x30
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return -1
    return tens * 10 + ones  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def _first_three_digits(start: int, end: int) -> int:
    """Milliseconds of a fraction's digits; those beyond the third are cut off."""
    milliseconds = 0
    for i in range(3):
        milliseconds *= 10
        if start + i < end:
            milliseconds += load_u8(start + i) - 0x30
    return milliseconds
