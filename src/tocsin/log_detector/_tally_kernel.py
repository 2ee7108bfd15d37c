"""Counts the lines of one member, compiled: by shape, hour and level, which follows which, their numbers."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.intrinsics import (
    address_of,
    load_f64,
    load_i32,
    load_i64,
    load_u8,
    store_f64,
    store_i64,
)
from tocsin.templates._header_kernel import COLUMNS, LEVEL, MESSAGE_END, MESSAGE_START, TIME_KIND, TIME_MS
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
    raw, size, ticks, head = address_of(data), len(data), address_of(clock), address_of(heads)
    table = address_of(hours), len(hours)
    kept, tens, spans = address_of(numbers), address_of(powers), address_of(words)
    end = line_start(raw, load_i64(head + 8 * MESSAGE_START)) - 1
    for line in range(len(shapes)):
        shape = int(shapes[line])
        start = end + 1
        end = line_end(raw, max(start, load_i64(head + 8 * MESSAGE_END)), size)
        clock[LINES] += 1
        clock[LONGEST_BYTES] = max(clock[LONGEST_BYTES], end - start)
        if not continued[line]:
            if shape < 0:
                shape = full
            level, slot = load_i64(head + 8 * LEVEL), slot_of(head, ticks, table, slots)
            counts[shape, slot] += 1
            levels[level, slot] += 1
            worst[shape] = max(worst[shape], level)
            newest[shape] = line
            if sizes[shape, 0] < 0:
                keep_example(data, start, end, texts, sizes, shape, 0)
                places[shape, 0] = clock[LINES]
            if shape < FOLLOWED:
                if clock[PREVIOUS] >= 0:
                    follows[clock[PREVIOUS], shape] += 1
                clock[PREVIOUS] = shape
                first = ends[line - 1] if line else 0
                own = kept + 8 * NUMBER_FIELDS * WORDS * shape
                take_numbers(raw, spans + 8 * first, min(ends[line] - first, WORDS), own, tens)
            else:
                clock[PREVIOUS] = -1
        head += 8 * COLUMNS
    keep_newest(data, heads, clock, examples)


@nb.njit(cache=True, nogil=True)
def line_start(data: int, i: int) -> int:
    """Where the line around `i` begins."""
    k = i
    while k > 0 and load_u8(data + k - 1) != 10:
        k -= 1
    return k


@nb.njit(cache=True, nogil=True)
def line_end(data: int, i: int, size: int) -> int:
    """Where the line around `i` ends."""
    k = i
    while k < size and load_u8(data + k) != 10:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def keep_newest(data: Any, heads: Any, clock: Any, examples: Any) -> None:
    """The last line of each shape in this stretch becomes its second example."""
    texts, sizes, places, newest = examples
    raw = address_of(data)
    for shape in range(len(newest)):
        line = newest[shape]
        if line < 0:
            continue
        newest[shape] = -1
        start = line_start(raw, heads[line, MESSAGE_START])
        end = line_end(raw, heads[line, MESSAGE_END], len(data))
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
def slot_of(head: int, clock: int, hours: tuple[int, int], slots: int) -> int:
    """The hour of a line; one without a time has that of the line before, `slots` if none had one."""
    kind, base_ms = load_i64(head + 8 * TIME_KIND), load_i64(clock + 8 * BASE_MS)
    if kind == NONE:
        if load_i64(clock + 8 * TIMED) == 0:
            return slots
        return int(min(max((load_i64(clock + 8 * LAST_MS) - base_ms) // HOUR_MS, 0), slots - 1))
    ms = load_i64(head + 8 * TIME_MS)
    if kind == OF_DAY:
        ms = of_day(ms, clock)
    elif kind != UTC:
        ms = of_wall(ms, clock)
    store_i64(clock + 8 * LAST_MS, ms)
    store_i64(clock + 8 * TIMED, load_i64(clock + 8 * TIMED) + 1)
    if base_ms < 0:
        base_ms = ms - (ms + load_i64(clock + 8 * OFFSET_MS)) % HOUR_MS
        store_i64(clock + 8 * BASE_MS, base_ms)
    count_hour(hours, ms)
    return int(min(max((ms - base_ms) // HOUR_MS, 0), slots - 1))


@nb.njit(cache=True, nogil=True)
def count_hour(hours: tuple[int, int], ms: int) -> None:
    """Count a line in the hour of its stamp; one whose hour finds no place near its own is left out."""
    table, size = hours
    hour = ms // HOUR_MS
    for probe in range(PROBES):
        row = table + 8 * HOUR_FIELDS * ((hour + probe) % size)
        lines = load_i64(row + 8 * HOUR_LINES)
        if lines == 0:
            store_i64(row + 8 * HOUR, hour)
            store_i64(row + 8 * HOUR_FIRST_MS, ms)
            store_i64(row + 8 * HOUR_NEWEST_MS, ms)
        if load_i64(row + 8 * HOUR) == hour:
            store_i64(row + 8 * HOUR_LINES, lines + 1)
            store_i64(row + 8 * HOUR_FIRST_MS, min(load_i64(row + 8 * HOUR_FIRST_MS), ms))
            store_i64(row + 8 * HOUR_NEWEST_MS, max(load_i64(row + 8 * HOUR_NEWEST_MS), ms))
            return


@nb.njit(cache=True, nogil=True)
def of_day(ms: int, clock: int) -> int:
    """A time of day nearest to the line before, or to when the dump begins."""
    near = load_i64(clock + 8 * LAST_MS)
    apart = (ms - load_i64(clock + 8 * OFFSET_MS) - near) % DAY_MS
    return int(near + (apart - DAY_MS if apart >= DAY_MS // 2 else apart))


@nb.njit(cache=True, nogil=True)
def of_wall(ms: int, clock: int) -> int:
    """A time by the clock on the wall in UTC; a member's first one corrects an offset that can't be."""
    if load_i64(clock + 8 * CHECKED) == 0:
        store_i64(clock + 8 * CHECKED, 1)
        first, last = load_i64(clock + 8 * FROM_MS), load_i64(clock + 8 * TO_MS)
        said = ms - load_i64(clock + 8 * OFFSET_MS)
        if first > 0 and (said < first - SLACK_MS or (last > 0 and said > last + SLACK_MS)):
            offset = (ms - first + SLACK_MS) // QUARTER_MS * QUARTER_MS
            if -OFFSET_MS_MAX <= offset <= OFFSET_MS_MAX:
                store_i64(clock + 8 * OFFSET_MS, offset)
    return int(ms - load_i64(clock + 8 * OFFSET_MS))


@nb.njit(cache=True, nogil=True)
def take_numbers(data: int, spans: int, words: int, numbers: int, powers: int) -> None:
    """Add those of a line's first words that are numbers to what is kept of their places."""
    for place in range(words):
        at, until = load_i32(spans + 8 * place), load_i32(spans + 8 * place + 4)
        if until > at and MAY_BE_NUMBER[load_u8(data + at)]:
            take_number(data + at, data + until, numbers + 8 * NUMBER_FIELDS * place, powers)


@nb.njit(cache=True, nogil=True)
def take_number(i: int, until: int, kept: int, powers: int) -> None:
    """Add a word to what is kept of its place, if it is a number with or without a unit."""
    k = i
    sign = load_u8(k)
    if sign in (43, 45):
        k += 1
    whole, first, point = 0, k, until
    while k < until:
        byte = load_u8(k)
        if 48 <= byte <= 57:
            whole = whole * 10 + (byte - 48)
        elif byte == 46 and point == until:
            point = k
        else:
            break
        k += 1
    dotted = point < until
    digits = k - first - dotted
    if not 0 < digits <= DIGITS_MAX or not is_unit(k, until):
        return
    value = whole / load_f64(powers + 8 * (k - point - 1)) if dotted else float(whole)
    if sign == 45:
        value = -value
    add_number(value, kept)


@nb.njit(cache=True, nogil=True)
def add_number(value: float, kept: int) -> None:
    """Add a value to what is kept of a place."""
    count = load_f64(kept + 8 * COUNT)
    before = load_f64(kept + 8 * NEWEST)
    if count == 0.0:
        store_f64(kept + 8 * PIVOT, value)
    elif value > before:
        store_f64(kept + 8 * UPS, load_f64(kept + 8 * UPS) + 1.0)
    elif value < before:
        store_f64(kept + 8 * DOWNS, load_f64(kept + 8 * DOWNS) + 1.0)
    off = value - load_f64(kept + 8 * PIVOT)
    store_f64(kept + 8 * NEWEST, value)
    store_f64(kept + 8 * COUNT, count + 1.0)
    store_f64(kept + 8 * SUM, load_f64(kept + 8 * SUM) + off)
    store_f64(kept + 8 * SQUARES, load_f64(kept + 8 * SQUARES) + off * off)


@nb.njit(cache=True, nogil=True)
def is_unit(i: int, until: int) -> bool:
    """Whether letters and a percent sign are all that follows a number."""
    for k in range(i, until):
        byte = load_u8(k)
        if not (65 <= byte <= 90 or 97 <= byte <= 122 or byte == 37 or byte >= 128):
            return False
    return True
