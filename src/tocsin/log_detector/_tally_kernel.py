"""Counts the lines of one member, compiled: by shape, hour and level, which follows which, their numbers."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.templates._header_kernel import LEVEL, MESSAGE_END, MESSAGE_START, TIME_KIND, TIME_MS
from tocsin.templates._stamp_kernel import NONE, OF_DAY, UTC

BASE_MS, SLOTS, OFFSET_MS, FROM_MS, TO_MS, LAST_MS = range(6)
PREVIOUS, LINES, CHECKED, LONGEST_BYTES, TIMED = range(6, 11)
CLOCK_FIELDS: Final = 11
"""Columns of the clock. `BASE_MS` is where the first hour begins, -1 until a line tells; `OFFSET_MS` is what
clocks on the wall are ahead of UTC; `FROM_MS` and `TO_MS` are 0 where a dump does not say them."""
HOUR, HOUR_LINES, HOUR_FIRST_MS, HOUR_NEWEST_MS = range(4)
HOUR_FIELDS: Final = 4
"""Columns of the table of hours since 1970, in UTC: how many lines with a time, the oldest, the newest."""
PROBES: Final = 32
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
QUARTER_MS: Final = 900_000
SLACK_MS: Final = 60_000
OFFSET_MS_MAX: Final = 15 * HOUR_MS
FOLLOWED: Final = 256
WORDS: Final = 12
"""Order and numbers are followed for so many shapes of a member, numbers in so many words of a line."""
COUNT, PIVOT, SUM, SQUARES, UPS, DOWNS, NEWEST = range(7)
NUMBER_FIELDS: Final = 7
"""What is kept of the numbers that a word was; sums are taken from the first."""
DIGITS_MAX: Final = 15
MAY_BE_NUMBER: Final = np.zeros(256, np.bool_)
MAY_BE_NUMBER[list(b"0123456789+-.")] = True
EXAMPLE_BYTES: Final = 240
LEVELS: Final = 8


@nb.njit(cache=True, nogil=True)
def tally_lines(mined: Any, clock: Any, hours: Any, tables: Any, examples: Any, powers: Any) -> None:
    """Add a stretch of lines to the tables. Lines that continue another count with their first one only."""
    data, shapes, heads, ends, words, continued = mined
    counts, levels, worst, follows, numbers = tables
    texts, sizes, places, newest = examples
    full, slots = len(counts) - 1, clock[SLOTS]
    if len(shapes) == 0:
        return
    end = line_start(data, heads[0, MESSAGE_START]) - 1
    for line in range(len(shapes)):
        head, shape = heads[line], int(shapes[line])
        start = end + 1
        end = line_end(data, max(start, head[MESSAGE_END]))
        clock[LINES] += 1
        clock[LONGEST_BYTES] = max(clock[LONGEST_BYTES], end - start)
        if continued[line]:
            continue
        if shape < 0:
            shape = full
        slot = slot_of(head, clock, hours, slots)
        counts[shape, slot] += 1
        levels[head[LEVEL], slot] += 1
        worst[shape] = max(worst[shape], head[LEVEL])
        newest[shape] = line
        if sizes[shape, 0] < 0:
            keep_example(data, start, end, texts, sizes, shape, 0)
            places[shape, 0] = clock[LINES]
        if shape < FOLLOWED:
            if clock[PREVIOUS] >= 0:
                follows[clock[PREVIOUS], shape] += 1
            clock[PREVIOUS] = shape
            first = ends[line - 1] if line else 0
            for place in range(min(ends[line] - first, WORDS)):
                at, until = words[first + place, 0], words[first + place, 1]
                if until > at and MAY_BE_NUMBER[data[at]]:
                    take_number(data, at, until, numbers, shape, place, powers)
        else:
            clock[PREVIOUS] = -1
    keep_newest(data, heads, clock, examples)


@nb.njit(cache=True, nogil=True)
def line_start(data: Any, i: int) -> int:
    """Where the line around `i` begins."""
    k = i
    while k > 0 and data[k - 1] != 10:
        k -= 1
    return k


@nb.njit(cache=True, nogil=True)
def line_end(data: Any, i: int) -> int:
    """Where the line around `i` ends."""
    k = i
    while k < len(data) and data[k] != 10:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def keep_newest(data: Any, heads: Any, clock: Any, examples: Any) -> None:
    """The last line of each shape in this stretch becomes its second example."""
    texts, sizes, places, newest = examples
    for shape in range(len(newest)):
        line = newest[shape]
        if line < 0:
            continue
        newest[shape] = -1
        start = line_start(data, heads[line, MESSAGE_START])
        end = line_end(data, heads[line, MESSAGE_END])
        keep_example(data, start, end, texts, sizes, shape, 1)
        places[shape, 1] = clock[LINES] - (len(heads) - 1 - line)


@nb.njit(cache=True, nogil=True)
def keep_example(data: Any, start: int, end: int, texts: Any, sizes: Any, shape: int, which: int) -> None:
    """Copy a line, cut, without a carriage return at its end."""
    size = min(end - start, EXAMPLE_BYTES)
    if 0 < size == end - start and data[end - 1] == 13:
        size -= 1
    for k in range(size):
        texts[shape, which, k] = data[start + k]
    sizes[shape, which] = size


@nb.njit(cache=True, nogil=True)
def slot_of(head: Any, clock: Any, hours: Any, slots: int) -> int:
    """The hour of a line; one without a time has that of the line before, `slots` if none had one."""
    kind = head[TIME_KIND]
    if kind == NONE:
        if clock[TIMED] == 0:
            return slots
        return int(min(max((clock[LAST_MS] - clock[BASE_MS]) // HOUR_MS, 0), slots - 1))
    ms = head[TIME_MS]
    if kind == OF_DAY:
        ms = of_day(ms, clock)
    elif kind != UTC:
        ms = of_wall(ms, clock)
    clock[LAST_MS] = ms
    clock[TIMED] += 1
    if clock[BASE_MS] < 0:
        clock[BASE_MS] = ms - (ms + clock[OFFSET_MS]) % HOUR_MS
    count_hour(hours, ms)
    return int(min(max((ms - clock[BASE_MS]) // HOUR_MS, 0), slots - 1))


@nb.njit(cache=True, nogil=True)
def count_hour(hours: Any, ms: int) -> None:
    """Count a line in the hour of its stamp; one whose hour finds no place near its own is left out."""
    hour = ms // HOUR_MS
    for probe in range(PROBES):
        row = hours[(hour + probe) % len(hours)]
        if row[HOUR_LINES] == 0:
            row[HOUR], row[HOUR_FIRST_MS], row[HOUR_NEWEST_MS] = hour, ms, ms
        if row[HOUR] == hour:
            row[HOUR_LINES] += 1
            row[HOUR_FIRST_MS] = min(row[HOUR_FIRST_MS], ms)
            row[HOUR_NEWEST_MS] = max(row[HOUR_NEWEST_MS], ms)
            return


@nb.njit(cache=True, nogil=True)
def of_day(ms: int, clock: Any) -> int:
    """A time of day nearest to the line before, or to when the dump begins."""
    near = clock[LAST_MS]
    apart = (ms - clock[OFFSET_MS] - near) % DAY_MS
    return int(near + (apart - DAY_MS if apart >= DAY_MS // 2 else apart))


@nb.njit(cache=True, nogil=True)
def of_wall(ms: int, clock: Any) -> int:
    """A time by the clock on the wall in UTC; a member's first one corrects an offset that can't be."""
    if clock[CHECKED] == 0:
        clock[CHECKED] = 1
        first, last = clock[FROM_MS], clock[TO_MS]
        said = ms - clock[OFFSET_MS]
        if first > 0 and (said < first - SLACK_MS or (last > 0 and said > last + SLACK_MS)):
            offset = (ms - first + SLACK_MS) // QUARTER_MS * QUARTER_MS
            if -OFFSET_MS_MAX <= offset <= OFFSET_MS_MAX:
                clock[OFFSET_MS] = offset
    return int(ms - clock[OFFSET_MS])


@nb.njit(cache=True, nogil=True)
def take_number(data: Any, i: int, until: int, numbers: Any, shape: int, place: int, powers: Any) -> None:
    """Add a word to what is kept of its place, if it is a number with or without a unit."""
    k = i
    negative = data[k] == 45
    if negative or data[k] == 43:
        k += 1
    whole, first, point = 0, k, until
    while k < until:
        byte = data[k]
        if 48 <= byte <= 57:
            whole = whole * 10 + (byte - 48)
        elif byte == 46 and point == until:
            point = k
        else:
            break
        k += 1
    dotted = point < until
    digits = k - first - dotted
    if not 0 < digits <= DIGITS_MAX or not is_unit(data, k, until):
        return
    value = whole / powers[k - point - 1] if dotted else float(whole)
    if negative:
        value = -value
    count = numbers[shape, place, COUNT]
    before = numbers[shape, place, NEWEST]
    if count == 0.0:
        numbers[shape, place, PIVOT] = value
    elif value > before:
        numbers[shape, place, UPS] += 1.0
    elif value < before:
        numbers[shape, place, DOWNS] += 1.0
    off = value - numbers[shape, place, PIVOT]
    numbers[shape, place, NEWEST] = value
    numbers[shape, place, COUNT] = count + 1.0
    numbers[shape, place, SUM] += off
    numbers[shape, place, SQUARES] += off * off


@nb.njit(cache=True, nogil=True)
def is_unit(data: Any, i: int, until: int) -> bool:
    """Whether letters and a percent sign are all that follows a number."""
    for k in range(i, until):
        byte = data[k]
        if not (65 <= byte <= 90 or 97 <= byte <= 122 or byte == 37 or byte >= 128):
            return False
    return True
