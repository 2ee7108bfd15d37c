"""Time stamps, plainly: what the compiled form must equal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from tocsin.templates._stamp_kernel import LOCAL, OF_DAY, YEARLESS
from tocsin.templates._stamp_kernel import UTC as IN_UTC

MONTHS: Final = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_TIME: Final = re.compile(rb"([0-9]{1,2})([:.])([0-9]{1,2})\2([0-9]{1,2})(?:[.,:]([0-9]{1,9}))?")
_OFFSET: Final = re.compile(rb" ?([+-])([0-9]{2}):?([0-9]{2})(?![0-9])")
_PACKED: Final = re.compile(rb" ([0-9]{2})([0-9]{2})([0-9]{2})(?![0-9])")
_NAMED: Final = re.compile(rb"([0-9]{1,2})([-./])([A-Z][a-z]{2})\2([0-9]{4})(?![0-9])")
_NUMBERS: Final = re.compile(rb"([0-9]{1,4})([-./])([0-9]{1,2})(?:\2([0-9]{0,4}))?")
_LETTERED: Final = re.compile(rb"[DEFIW]((?:[0-9]{4}){1,2}) ")
_WORDS: Final = re.compile(
    rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?([A-Z][a-z]{2}) +([0-9]{1,2}) (?:([0-9]{4}) )?"
)
_YEAR_BEHIND: Final = re.compile(rb" ([0-9]{4})(?![0-9])")
_EPOCH_ENDS: Final = b' \t\r\n]|;,"}:'
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Stamp(NamedTuple):
    """What a stamp says; it ends at `until`. `since_1970_us` is counted time, `alone` a date without time."""

    until: int
    kind: int
    date: tuple[int, int, int] = (0, 0, 0)
    clock_us: int = 0
    offset_min: int = 0
    since_1970_us: int = 0
    worded: bool = False
    letter: bytes = b""
    alone: bool = False

    def us(self, year: int, until_us: int) -> int:
        """Microseconds since 1970, as the compiled form has them."""
        if self.since_1970_us or self.kind == OF_DAY:
            return self.since_1970_us or self.clock_us
        said, month, day = self.date
        if self.kind == YEARLESS and until_us:
            candidates = (each for each in range(year + 1, 0, -1) if (month, day) != (2, 29) or _leap(each))
            told = next(
                each
                for each in candidates
                if _day_us(each, month, day) + self.clock_us <= until_us + 86_400_000_000
            )
        else:
            told = said or year
        offset_us = self.offset_min * 60_000_000 if self.kind == IN_UTC else 0
        return _day_us(told, month, day) + self.clock_us - offset_us


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _day_us(year: int, month: int, day: int) -> int:
    first = datetime(year, month, 1, tzinfo=UTC) + timedelta(days=day - 1)
    return (first - EPOCH) // timedelta(microseconds=1)


def stamp_at(line: bytes, at: int, behind: bool) -> Stamp | None:
    """The stamp at a place; `behind` another, a date alone is one."""
    if line[at : at + 1].isupper():
        return _lettered(line, at) or _worded(line, at)
    digits = _digits(line, at, 20)
    size = len(digits)
    if size in (10, 13):
        return _epoch(line, at, size)
    if not 0 < size <= 8 or at + size >= len(line):
        return None
    if size <= 2 and line[at + size] == 58:
        time = _time(line, at)
        return time and time._replace(kind=OF_DAY)
    date = _date(line, at, size)
    return date and _timed(line, date, behind)


def _digits(line: bytes, at: int, most: int) -> bytes:
    found = re.compile(rb"[0-9]{0,%d}" % most).match(line, at)
    return found[0] if found else b""


def _epoch(line: bytes, at: int, size: int) -> Stamp | None:
    until, us = at + size, int(line[at : at + size]) * (1_000_000 if size == 10 else 1000)
    if size == 10 and line[until : until + 1] == b"." and _digits(line, until + 1, 1):
        fraction = _digits(line, until + 1, 9 - 0)
        until, us = until + 1 + len(fraction), us + int(fraction[:6].ljust(6, b"0"))
    if line[at : at + 1] != b"1" or (until < len(line) and line[until] not in _EPOCH_ENDS):
        return None
    return Stamp(until, IN_UTC, since_1970_us=us)


def _dated(until: int, year: int, month: int, day: int) -> Stamp | None:
    if not (1 <= month <= 12 and 1 <= day <= 31) or (year and not 1970 <= year <= 2199):
        return None
    return Stamp(until, LOCAL if year else YEARLESS, (year, month, day))


def _date(line: bytes, at: int, size: int) -> Stamp | None:
    first, digits = at + size, line[at : at + size]
    if size == 8:
        return _dated(first, int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    if size == 6 and _PACKED.match(line, first):
        return _dated(first, 2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    if size not in (1, 2, 4) or line[first] not in b"-./":
        return None
    named = _NAMED.match(line, at)
    if not _digits(line, first + 1, 1):
        month = MONTHS.index(named[3]) + 1 if named and named[3] in MONTHS else 0
        return _dated(named.end(), int(named[4]), month, int(digits)) if named else None
    numbers = _NUMBERS.match(line, at)
    return numbers and _separated(line, numbers, size)


def _separated(line: bytes, found: re.Match[bytes], size: int) -> Stamp | None:
    one, two, until = int(found[1]), int(found[3]), found.end()
    if found[4] is None:
        yearless = size == 2 and len(found[3]) == 2 and found[2] != b"/" and line[until : until + 1] == b" "
        return _dated(until, 0, one, two) if yearless else None
    width, three = len(found[4]), int(found[4] or b"0")
    if size == 4:
        return _dated(until, one, two, three) if width in (1, 2) else None
    if width == 2:
        return _dated(until, 2000 + one, two, three)
    month, day = (one, two) if two > 12 else (two, one)
    return _dated(until, three, month, day) if width == 4 else None


def _timed(line: bytes, date: Stamp, behind: bool) -> Stamp | None:
    at = date.until
    if at < len(line) and line[at] in b"T -:_;,":
        packed = _PACKED.match(line, at)
        if packed:
            return date._replace(until=packed.end(), clock_us=_clock_us(*map(int, packed.groups())))
        time = _time(line, at + 1)
        if time:
            return time._replace(date=date.date, kind=IN_UTC if time.kind == IN_UTC else date.kind)
    ends = at >= len(line) or line[at] in b" \t\r\n"
    return date._replace(alone=True) if behind and ends and date.date[0] else None


def _clock_us(hour: int, minute: int, second: int) -> int:
    return ((hour * 60 + minute) * 60 + second) * 1_000_000


def _time(line: bytes, at: int) -> Stamp | None:
    found = _TIME.match(line, at)
    if not found:
        return None
    hour, minute, second = int(found[1]), int(found[3]), int(found[4])
    if hour > 24 or minute > 59 or second > 60:
        return None
    us = _clock_us(hour, minute, second) + int((found[5] or b"")[:6].ljust(6, b"0"))
    until = found.end()
    offset = _OFFSET.match(line, until)
    if line[until : until + 1] == b"Z":
        return Stamp(until + 1, IN_UTC, clock_us=us)
    if not offset:
        return Stamp(until, LOCAL, clock_us=us)
    minutes = int(offset[2]) * 60 + int(offset[3])
    return Stamp(offset.end(), IN_UTC, clock_us=us, offset_min=minutes if offset[1] == b"+" else -minutes)


def _lettered(line: bytes, at: int) -> Stamp | None:
    found = _LETTERED.match(line, at)
    time = found and _time(line, found.end())
    if not found or not time:
        return None
    digits = found[1]
    year = int(digits[:4]) if len(digits) == 8 else 0
    date = _dated(0, year, int(digits[-4:-2]), int(digits[-2:]))
    letter = line[at : at + 1]
    return date and time._replace(date=date.date, kind=date.kind, letter=letter)


def _worded(line: bytes, at: int) -> Stamp | None:
    found = _WORDS.match(line, at)
    time = found and _time(line, found.end())
    if not found or not time or found[1] not in MONTHS:
        return None
    year, until = int(found[3] or b"0"), time.until
    later = _YEAR_BEHIND.match(line, until) if not year else None
    if later:
        year, until = int(later[1]), later.end()
    date = _dated(until, year, MONTHS.index(found[1]) + 1, int(found[2]))
    zoned = time.kind == IN_UTC and year
    return date and time._replace(
        until=until, date=date.date, kind=IN_UTC if zoned else date.kind, worded=True
    )
