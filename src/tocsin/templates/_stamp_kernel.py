"""Time stamps of log lines, compiled: which bytes are one, and what it says."""

from __future__ import annotations

from typing import Final

import numba as nb

from tocsin.intrinsics import load_i64, load_u8, store_i64
from tocsin.templates._bytes import KIND, SPACE
from tocsin.templates._message_kernel import names_month, names_weekday, packed

NONE, UTC, LOCAL, YEARLESS, OF_DAY = 0, 1, 2, 3, 4
"""What a time is counted in; the last is a time of day without a date."""
YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, US, OFFSET_MIN, KIND_OF_TIME, EPOCH_US, WORDED, LETTER = range(12)
FIELDS: Final = 12
STAMPS, STAMP_AT, STAMP_UNTIL, STAMP_END, STAMP_BEHIND, BY_VALUE = range(2 * FIELDS, 2 * FIELDS + 6)
FIELDS_ROOM: Final = 2 * FIELDS + 6
"""Behind the fields of a stamp and a copy of them: how many stamps of a line were found, where the last was
looked for, and whether the value of digits decided what follows in a line, not just that they are digits."""
DAY_US: Final = 86_400_000_000


@nb.njit(cache=True, nogil=True)
def digits_end(data: int, i: int, end: int, most: int) -> int:
    """Where the digits at `i` end, at most so many of them."""
    k = i
    while k < end and k < i + most and 48 <= load_u8(data + k) <= 57:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def number(data: int, i: int, until: int) -> int:
    """The digits as a number."""
    value = 0
    for k in range(i, until):
        value = value * 10 + (load_u8(data + k) - 48)
    return value


@nb.njit(cache=True, nogil=True)
def stamp_end(data: int, i: int, end: int, fields: int, behind: bool) -> int:
    """Behind the stamp at `i`, which is then in `fields`; 0 = none. `behind` another, a date alone is one."""
    until = any_stamp_end(data, i, end, fields, behind)
    if until:
        store_i64(fields + 8 * STAMPS, load_i64(fields + 8 * STAMPS) + 1)
        store_i64(fields + 8 * STAMP_AT, i)
        store_i64(fields + 8 * STAMP_UNTIL, until)
        store_i64(fields + 8 * STAMP_END, end)
        store_i64(fields + 8 * STAMP_BEHIND, behind)
    return until


@nb.njit(cache=True, nogil=True)
def begin(fields: int) -> None:
    """Look for a stamp of its own: where it is a date alone, it is midnight, whatever was found before."""
    for field in (EPOCH_US, HOUR, MINUTE, SECOND, US):
        store_i64(fields + 8 * field, 0)


@nb.njit(cache=True, nogil=True)
def refused(fields: int) -> int:
    """No stamp, since the value of a digit is none of a time."""
    store_i64(fields + 8 * BY_VALUE, 1)
    return 0


@nb.njit(cache=True, nogil=True)
def any_stamp_end(data: int, i: int, end: int, fields: int, behind: bool) -> int:
    """Behind the stamp at `i`, in whatever form; 0 = none."""
    store_i64(fields + 8 * WORDED, 0)
    store_i64(fields + 8 * LETTER, 0)
    if not may_begin(data, i, end):
        return 0
    if load_u8(data + i) >= 65:
        until = lettered_end(data, i, end, fields)
        return until or words_end(data, i, end, fields)
    first = digits_end(data, i, end, 14)
    size = first - i
    if size in (10, 13):
        return epoch_end(data, i, first, end, fields)
    if first >= end or not 0 < size <= 8:
        return 0
    if size <= 2 and load_u8(data + first) == 58:
        until = time_end(data, i, end, fields)
        store_i64(fields + 8 * KIND_OF_TIME, OF_DAY if until else load_i64(fields + 8 * KIND_OF_TIME))
        return until
    date = date_end(data, i, first, end, fields)
    return after_date(data, date, end, fields, behind) if date else 0


@nb.njit(cache=True, nogil=True)
def may_begin(data: int, i: int, end: int) -> bool:
    """Whether a stamp may begin here: with a digit, or a capital before a small letter or a digit."""
    if i + 1 >= end:
        return False
    byte, second = load_u8(data + i), load_u8(data + i + 1)
    capital = 65 <= byte <= 90 and (97 <= second <= 122 or 48 <= second <= 57)
    return bool(48 <= byte <= 57 or capital)


@nb.njit(cache=True, nogil=True)
def lettered_end(data: int, i: int, end: int, fields: int) -> int:
    """Behind a level's letter, month and day without a mark between them, and a time; 0 = none."""
    first = digits_end(data, i + 1, end, 9)
    size = first - i - 1
    if (
        load_u8(data + i) not in (68, 69, 70, 73, 87)
        or size not in (4, 8)
        or first >= end
        or load_u8(data + first) != 32
    ):
        return 0
    until = time_end(data, first + 1, end, fields)
    year = number(data, i + 1, i + 5) if size == 8 else 0
    if (
        until == 0
        or dated(fields, year, number(data, first - 4, first - 2), number(data, first - 2, first), 1) == 0
    ):
        return 0
    store_i64(fields + 8 * LETTER, load_u8(data + i))
    return until


@nb.njit(cache=True, nogil=True)
def epoch_end(data: int, i: int, first: int, end: int, fields: int) -> int:
    """Seconds, with or without a fraction, or milliseconds since 1970, from 2001 to 2033."""
    if load_u8(data + i) != 49:
        return refused(fields)
    us, until = number(data, i, first) * 1000, first
    if first - i == 10:
        us *= 1000
        if first + 1 < end and load_u8(data + first) == 46 and 48 <= load_u8(data + first + 1) <= 57:
            until = digits_end(data, first + 1, end, 9)
            us += fraction_us(data, first + 1, until)
    if (
        until < end
        and KIND[load_u8(data + until)] != SPACE
        and load_u8(data + until) not in (93, 124, 59, 44, 34, 125, 58)
    ):
        return 0
    store_i64(fields + 8 * EPOCH_US, us)
    store_i64(fields + 8 * KIND_OF_TIME, UTC)
    return until


@nb.njit(cache=True, nogil=True)
def fraction_us(data: int, i: int, until: int) -> int:
    """Digits behind a point as microseconds, cut off."""
    last = min(until, i + 6)
    value = number(data, i, last)
    for _ in range(6 - (last - i)):
        value *= 10
    return value


@nb.njit(cache=True, nogil=True)
def date_end(data: int, i: int, first: int, end: int, fields: int) -> int:
    """Behind a date that begins with the number up to `first`; 0 = none."""
    size, mark = first - i, load_u8(data + first)
    if size == 8:
        month, day = number(data, i + 4, i + 6), number(data, i + 6, first)
        return dated(fields, number(data, i, i + 4), month, day, first)
    if size == 6 and mark == 32 and digits_end(data, first + 1, end, 7) == first + 7:
        month, day = number(data, i + 2, i + 4), number(data, i + 4, first)
        return dated(fields, 2000 + number(data, i, i + 2), month, day, first)
    if mark not in (45, 46, 47) or size not in (1, 2, 4):
        return 0
    second = digits_end(data, first + 1, end, 2)
    if second > first + 1:
        return separated_end(data, i, first, second, end, fields)
    month = names_month(packed(data + first + 1, 3)) if first + 5 < end else 0
    last = digits_end(data, first + 5, end, 5)
    if month == 0 or size > 2 or load_u8(data + first + 4) != mark or last - first != 9:
        return 0
    return dated(fields, number(data, first + 5, last), month, number(data, i, first), last)


@nb.njit(cache=True, nogil=True)
def separated_end(data: int, i: int, first: int, second: int, end: int, fields: int) -> int:
    """Behind two or three numbers with one mark between them, as a date; 0 = none."""
    size, mark = first - i, load_u8(data + first)
    one, two = number(data, i, first), number(data, first + 1, second)
    if second >= end or load_u8(data + second) != mark:
        yearless = (
            size == 2 and second - first == 3 and mark != 47 and second < end and load_u8(data + second) == 32
        )
        return dated(fields, 0, one, two, second) if yearless else 0
    third = digits_end(data, second + 1, end, 4)
    three, width = number(data, second + 1, third), third - second - 1
    if size == 4:
        return dated(fields, one, two, three, third) if width in (1, 2) else 0
    if width == 2:
        return dated(fields, 2000 + one, two, three, third)
    month, day = (one, two) if two > 12 else (two, one)
    return dated(fields, three, month, day, third) if width == 4 else 0


@nb.njit(cache=True, nogil=True)
def dated(fields: int, year: int, month: int, day: int, until: int) -> int:
    """Take a date over, if it is one; year 0 = not said."""
    if not (1 <= month <= 12 and 1 <= day <= 31) or (year != 0 and not 1970 <= year <= 2199):
        return refused(fields)
    store_i64(fields + 8 * YEAR, year)
    store_i64(fields + 8 * MONTH, month)
    store_i64(fields + 8 * DAY, day)
    store_i64(fields + 8 * KIND_OF_TIME, LOCAL if year else YEARLESS)
    return until


@nb.njit(cache=True, nogil=True)
def after_date(data: int, date: int, end: int, fields: int, behind: bool) -> int:
    """Behind the time that follows a date."""
    if date < end and load_u8(data + date) in (84, 32, 45, 58, 95, 59, 44):
        if load_u8(data + date) == 32 and digits_end(data, date + 1, end, 7) == date + 7:
            store_i64(fields + 8 * HOUR, number(data, date + 1, date + 3))
            store_i64(fields + 8 * MINUTE, number(data, date + 3, date + 5))
            store_i64(fields + 8 * SECOND, number(data, date + 5, date + 7))
            store_i64(fields + 8 * US, 0)
            return date + 7
        kind = load_i64(fields + 8 * KIND_OF_TIME)
        until = time_end(data, date + 1, end, fields)
        if until:
            if load_i64(fields + 8 * KIND_OF_TIME) != UTC:
                store_i64(fields + 8 * KIND_OF_TIME, kind)
            return until
    ends = date >= end or KIND[load_u8(data + date)] == SPACE
    if not behind or not ends:
        return 0
    return date if load_i64(fields + 8 * YEAR) else refused(fields)


@nb.njit(cache=True, nogil=True)
def time_end(data: int, i: int, end: int, fields: int) -> int:
    """Behind hours, minutes and seconds with their fraction and offset; 0 = none."""
    first = digits_end(data, i, end, 2)
    if first == i or first >= end or load_u8(data + first) not in (58, 46):
        return 0
    second = digits_end(data, first + 1, end, 2)
    if second == first + 1 or second >= end or load_u8(data + second) != load_u8(data + first):
        return 0
    third = digits_end(data, second + 1, end, 2)
    if third == second + 1:
        return 0
    hour, minute = number(data, i, first), number(data, first + 1, second)
    seconds = number(data, second + 1, third)
    if hour > 24 or minute > 59 or seconds > 60:
        return refused(fields)
    store_i64(fields + 8 * HOUR, hour)
    store_i64(fields + 8 * MINUTE, minute)
    store_i64(fields + 8 * SECOND, seconds)
    store_i64(fields + 8 * US, 0)
    if third + 1 < end and load_u8(data + third) in (46, 44, 58) and 48 <= load_u8(data + third + 1) <= 57:
        until = digits_end(data, third + 1, end, 9)
        store_i64(fields + 8 * US, fraction_us(data, third + 1, until))
        third = until
    store_i64(fields + 8 * KIND_OF_TIME, LOCAL)
    return offset_end(data, third, end, fields)


@nb.njit(cache=True, nogil=True)
def offset_end(data: int, i: int, end: int, fields: int) -> int:
    """Behind Z or an offset such as +01:00 or ` +0100`, if one follows."""
    store_i64(fields + 8 * OFFSET_MIN, 0)
    if i < end and load_u8(data + i) == 90:
        store_i64(fields + 8 * KIND_OF_TIME, UTC)
        return i + 1
    k = i + 1 if i + 1 < end and load_u8(data + i) == 32 and load_u8(data + i + 1) in (43, 45) else i
    if k >= end or load_u8(data + k) not in (43, 45):
        return i
    hours = digits_end(data, k + 1, end, 2)
    rest = hours + 1 if hours < end and load_u8(data + hours) == 58 else hours
    until = digits_end(data, rest, end, 2)
    if hours - k != 3 or until - rest != 2 or (until < end and 48 <= load_u8(data + until) <= 57):
        return i
    minutes = number(data, k + 1, hours) * 60 + number(data, rest, until)
    store_i64(fields + 8 * OFFSET_MIN, minutes if load_u8(data + k) == 43 else -minutes)
    store_i64(fields + 8 * KIND_OF_TIME, UTC)
    return until


@nb.njit(cache=True, nogil=True)
def words_end(data: int, i: int, end: int, fields: int) -> int:
    """Behind a stamp that begins with a weekday or a month; 0 = none."""
    k = i
    if k + 4 < end and names_weekday(packed(data + k, 3)):
        k += 4 if load_u8(data + k + 3) == 32 else (5 if load_u8(data + k + 3) == 44 else 0)
    if k + 4 >= end:
        return 0
    month = names_month(packed(data + k, 3))
    if month == 0 or load_u8(data + k + 3) != 32:
        return 0
    first = k + 4
    while first < end and load_u8(data + first) == 32:
        first += 1
    last = digits_end(data, first, end, 2)
    if last == first or last >= end or load_u8(data + last) != 32:
        return 0
    day, year = number(data, first, last), 0
    clock = last + 1
    if digits_end(data, clock, end, 5) == clock + 4 and clock + 4 < end and load_u8(data + clock + 4) == 32:
        year, clock = number(data, clock, clock + 4), clock + 5
        if year == 0:  # as if it were not said, and another may follow
            refused(fields)
    until = time_end(data, clock, end, fields)
    if until == 0:
        return 0
    zoned = load_i64(fields + 8 * KIND_OF_TIME) == UTC
    if (
        year == 0
        and until + 5 <= end
        and load_u8(data + until) == 32
        and digits_end(data, until + 1, end, 5) == until + 5
    ):
        year, until = number(data, until + 1, until + 5), until + 5
    if dated(fields, year, month, day, until) == 0:
        return 0
    if zoned and year:
        store_i64(fields + 8 * KIND_OF_TIME, UTC)
    store_i64(fields + 8 * WORDED, 1)
    return until


@nb.njit(cache=True, nogil=True)
def stamp_us(fields: int, year: int, until_us: int) -> int:
    """Microseconds since 1970 in UTC, or by the clock on the wall.

    A year that is not said is `year`; or, where `until_us` is not 0, the last one in which the stamp is at
    most a day beyond it.
    """
    if load_i64(fields + 8 * EPOCH_US):
        return int(load_i64(fields + 8 * EPOCH_US))
    kind = load_i64(fields + 8 * KIND_OF_TIME)
    clock = int(
        (
            (load_i64(fields + 8 * HOUR) * 60 + load_i64(fields + 8 * MINUTE)) * 60
            + load_i64(fields + 8 * SECOND)
        )
        * 1_000_000
        + load_i64(fields + 8 * US)
    )
    if kind == OF_DAY:
        return clock
    month, day = int(load_i64(fields + 8 * MONTH)), int(load_i64(fields + 8 * DAY))
    if kind == YEARLESS and until_us:
        year = year_with(year + 1, month, day)
        while days_since_1970(year, month, day) * DAY_US + clock > until_us + DAY_US:
            year = year_with(year - 1, month, day)
    days = days_since_1970(load_i64(fields + 8 * YEAR) or year, month, day)
    return days * DAY_US + clock - (int(load_i64(fields + 8 * OFFSET_MIN)) * 60_000_000 if kind == UTC else 0)


@nb.njit(cache=True, nogil=True)
def year_with(year: int, month: int, day: int) -> int:
    """The last year up to this one that has the day."""
    y = year
    while month == 2 and day == 29 and not (y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)):
        y -= 1
    return y


@nb.njit(cache=True, nogil=True)
def days_since_1970(year: int, month: int, day: int) -> int:
    """Of a date of the Gregorian calendar; years begin in March here, so that the leap day comes last."""
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
