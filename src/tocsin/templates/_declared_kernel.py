"""The head of a line by a declared format, compiled."""

from __future__ import annotations

from typing import Any, Final

import numba as nb

from tocsin.intrinsics import load_i64, load_u8, store_i64
from tocsin.templates._bytes import KIND, SPACE
from tocsin.templates._header_kernel import (
    COMPONENT_END,
    COMPONENT_START,
    LEVEL,
    MESSAGE_START,
    TEXT_END,
    TEXT_START,
    TIME_KIND,
    bare_level,
    blank,
    level_word,
    skipped,
    take_stamp,
)
from tocsin.templates._stamp_kernel import EPOCH_US, KIND_OF_TIME, stamp_end

IGNORED, TIME, LEVELLED, NAMED, MESSAGE = range(5)
"""What a field of a declared format is for."""
SPACES: Final = 32


@nb.njit(cache=True, nogil=True)
def read_declared(
    data: int,
    start: int,
    end: int,
    clock: int,
    roles: Any,
    places: Any,
    literals: Any,
    head: int,
    fields: int,
) -> bool:
    """Fill `head` by the fields of a format; False = the line is not of it, and a message as a whole.

    Before field f stand the bytes `literals[places[f]:places[f + 1]]`; a space among them stands for any
    number. A stamp ends where it ends, other fields before the next bytes, the last at the end of the line.
    """
    blank(head, start, end)
    i = start
    for field in range(len(roles)):
        i = literal_end(data, i, end, literals, places[field], places[field + 1])
        if i < 0:
            blank(head, start, end)
            return False
        role = roles[field]
        if role == TIME:
            store_i64(fields + 8 * EPOCH_US, 0)
            until = stamp_end(data, i, end, fields, False)
            if until == 0:
                blank(head, start, end)
                return False
            store_i64(head + 8 * TIME_KIND, load_i64(fields + 8 * KIND_OF_TIME))
            take_stamp(head, fields, clock)
        else:
            until = field_end(data, i, end, literals, places[field + 1], places[field + 2])
        if role == LEVELLED:
            store_i64(head + 8 * LEVEL, bare_level(data, i, until) or level_word(data, i, until))
        elif role == NAMED:
            store_i64(head + 8 * COMPONENT_START, i)
            store_i64(head + 8 * COMPONENT_END, until)
        elif role == MESSAGE:
            store_i64(head + 8 * MESSAGE_START, i)
            store_i64(head + 8 * TEXT_START, i)
            store_i64(head + 8 * TEXT_END, until)
        i = until
    return True


@nb.njit(cache=True, nogil=True)
def literal_end(data: int, i: int, end: int, literals: Any, first: int, last: int) -> int:
    """Behind the bytes of a format at `i`; -1 = other bytes stand there."""
    k = i
    for place in range(first, last):
        if literals[place] == SPACES:
            if k < end and KIND[load_u8(data + k)] != SPACE:
                return -1
            k = skipped(data, k, end)
        elif k < end and load_u8(data + k) == literals[place]:
            k += 1
        else:
            return -1
    return k


@nb.njit(cache=True, nogil=True)
def field_end(data: int, i: int, end: int, literals: Any, first: int, last: int) -> int:
    """Where the bytes that end a field begin, the end of the line if there are none."""
    if first == last:
        return end
    for k in range(i, end):
        if literal_end(data, k, end, literals, first, last) >= 0:
            return k
    return end
