"""What lines of names and values say in their head, compiled, and their names as part of the masked text."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from tocsin.intrinsics import load_i64, load_u8, store_i64
from tocsin.templates._bytes import DIGIT, KIND, SPACE
from tocsin.templates._header_kernel import (
    COMPONENT_BYTES_MAX,
    COMPONENT_END,
    COMPONENT_START,
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    LEVEL,
    MESSAGE_END,
    MESSAGE_START,
    OF_LETTER,
    OF_SYSLOG,
    TEXT_END,
    TEXT_START,
    TIME_KIND,
    TRACE,
    WARNING,
    level_word,
    skipped,
    take_stamp,
    token_at,
)
from tocsin.templates._message_kernel import EQUALS, copied, marked, placed
from tocsin.templates._pairs_kernel import (
    NAME_BYTES_MAX,
    NAME_END,
    NAME_START,
    OF_COMPONENT,
    OF_LEVEL,
    OF_TEXT,
    OF_TIME,
    PAIR_FIELDS,
    ROLE,
    TAKEN,
    VALUE_END,
    VALUE_START,
    best_of,
    equal_pairs,
    object_pairs,
)
from tocsin.templates._stamp_kernel import (
    BY_VALUE,
    EPOCH_US,
    KIND_OF_TIME,
    NONE,
    UTC,
    begin,
    digits_end,
    number,
    stamp_end,
)

OF_TENS: Final = np.array([0, TRACE, DEBUG, INFO, WARNING, ERROR, FATAL], np.int64)


@nb.njit(cache=True, nogil=True)
def read_fields(data: int, headed: int, clock: int, head: int, fields: int, pairs: int) -> int:
    """The pairs that a message is made of, their part of the head taken over; -1 = it is something else."""
    start, end = load_i64(head + 8 * MESSAGE_START), load_i64(head + 8 * MESSAGE_END)
    if start >= end:
        return -1
    if load_u8(data + start) == 123:
        count = object_pairs(data, start, end, pairs)
    elif headed or not has_equals(data, start, end):
        return -1
    else:
        count = equal_pairs(data, start, end, pairs, 0)
        if count < 2:
            return -1
    if count < 0:
        return -1
    said = (
        take_time(data, pairs, count, clock, head, fields)
        if load_i64(head + 8 * TIME_KIND) == NONE
        else False
    )
    said = take_level(data, pairs, count, head, fields) or said
    told = best_of(pairs, count, OF_TEXT)
    if load_u8(data + start) != 123 and not said and told < 0:
        return -1
    take_component(data, pairs, count, head)
    store_i64(head + 8 * TEXT_START, start)
    store_i64(head + 8 * TEXT_END, start)
    if told >= 0:
        store_i64(head + 8 * TEXT_START, load_i64(pairs + 8 * (PAIR_FIELDS * told + VALUE_START)))
        store_i64(head + 8 * TEXT_END, load_i64(pairs + 8 * (PAIR_FIELDS * told + VALUE_END)))
        store_i64(pairs + 8 * (PAIR_FIELDS * told + ROLE), TAKEN)
    return count


@nb.njit(cache=True, nogil=True)
def has_equals(data: int, i: int, end: int) -> bool:
    """Whether the first word has an equals sign in it."""
    k = i
    while k < end and KIND[load_u8(data + k)] != SPACE:
        if load_u8(data + k) == EQUALS:
            return k > i
        k += 1
    return False


@nb.njit(cache=True, nogil=True)
def take_time(data: int, pairs: int, count: int, clock: int, head: int, fields: int) -> bool:
    """The stamp of a line from its pairs; False = none."""
    place = best_of(pairs, count, OF_TIME)
    if place < 0:
        return False
    start, end = (
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_START)),
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_END)),
    )
    digits = digits_end(data, start, end, 20)
    begin(fields)
    if digits == end and end - start in (16, 19):
        store_i64(fields + 8 * BY_VALUE, 1)
        store_i64(fields + 8 * EPOCH_US, number(data, start, start + 16))
        store_i64(fields + 8 * KIND_OF_TIME, UTC)
    elif start == end or stamp_end(data, start, end, fields, True) != end:
        return False
    store_i64(head + 8 * TIME_KIND, load_i64(fields + 8 * KIND_OF_TIME))
    take_stamp(head, fields, clock)
    store_i64(pairs + 8 * (PAIR_FIELDS * place + ROLE), TAKEN)
    return True


@nb.njit(cache=True, nogil=True)
def take_level(data: int, pairs: int, count: int, head: int, fields: int) -> bool:
    """The level of a line from its pairs, if it has none yet; False = none."""
    place = best_of(pairs, count, OF_LEVEL)
    if place < 0 or load_i64(head + 8 * LEVEL):
        return False
    start, end = (
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_START)),
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_END)),
    )
    level = level_word(data, start, end)
    if start < end <= start + 2 and KIND[load_u8(data + start)] == DIGIT:
        store_i64(fields + 8 * BY_VALUE, 1)
    if end == start + 1:
        digit = load_u8(data + start) - 48
        level = OF_SYSLOG[digit] if 0 <= digit <= 7 else OF_LETTER[load_u8(data + start)]
    elif end == start + 2 and digits_end(data, start, end, 2) == end:
        tens = number(data, start, end)
        level = OF_TENS[tens // 10] if tens % 10 == 0 and tens <= 60 else 0
    if level == 0:
        return False
    store_i64(head + 8 * LEVEL, level)
    store_i64(pairs + 8 * (PAIR_FIELDS * place + ROLE), TAKEN)
    return True


@nb.njit(cache=True, nogil=True)
def take_component(data: int, pairs: int, count: int, head: int) -> None:
    """The component of a line from its pairs, if it has none yet."""
    place = best_of(pairs, count, OF_COMPONENT)
    if place < 0 or load_i64(head + 8 * COMPONENT_END) > load_i64(head + 8 * COMPONENT_START):
        return
    start, end = (
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_START)),
        load_i64(pairs + 8 * (PAIR_FIELDS * place + VALUE_END)),
    )
    if start < end <= start + COMPONENT_BYTES_MAX and load_u8(data + start) not in (91, 123):
        store_i64(head + 8 * COMPONENT_START, start)
        store_i64(head + 8 * COMPONENT_END, end)
        store_i64(pairs + 8 * (PAIR_FIELDS * place + ROLE), TAKEN)


@nb.njit(cache=True, nogil=True)
def read_structured(data: int, head: int, pairs: int) -> int:
    """The pairs of the structured data that a message by RFC 5424 begins with; it then begins behind them."""
    i, end, count = load_i64(head + 8 * MESSAGE_START), load_i64(head + 8 * MESSAGE_END), 0
    if i < end and load_u8(data + i) == 45 and (i + 1 == end or load_u8(data + i + 1) == 32):
        i += 1
    while i < end and load_u8(data + i) == 91:
        name = token_at(data, i, end)
        close = element_end(data, i, end)
        if close < 0:
            break
        if name < close:
            count = max(count, equal_pairs(data, name, close, pairs, count))
        i = close + 1
    if i + 2 < end and load_u8(data + i) == 32:
        i += 1
    i = skipped(data, i, end)
    if (
        i + 2 < end
        and load_u8(data + i) == 0xEF
        and load_u8(data + i + 1) == 0xBB
        and load_u8(data + i + 2) == 0xBF
    ):
        i += 3
    store_i64(head + 8 * MESSAGE_START, i)
    store_i64(head + 8 * TEXT_START, i)
    return count


@nb.njit(cache=True, nogil=True)
def element_end(data: int, i: int, end: int) -> int:
    """Where the bracket stands that ends an element, quoted ones and escaped bytes left out; -1 = none."""
    k, quoted = i + 1, False
    while k < end:
        if load_u8(data + k) == 92 and quoted:
            k += 1
        elif load_u8(data + k) == 34:
            quoted = not quoted
        elif load_u8(data + k) == 93 and not quoted:
            return k
        k += 1
    return -1


@nb.njit(cache=True, nogil=True)
def append_fields(
    data: int, pairs: int, count: int, text: int, size: int, spans: int, words: int
) -> tuple[int, int]:
    """The names of the pairs behind the masked text, their values as what varies; the new sizes."""
    end = text + size
    for place in range(count):
        pair = pairs + 8 * PAIR_FIELDS * place
        if load_i64(pair + 8 * ROLE) == TAKEN:
            continue
        name, until = load_i64(pair + 8 * NAME_START), load_i64(pair + 8 * NAME_END)
        words = placed(spans, words, name, until)
        words = placed(spans, words, load_i64(pair + 8 * VALUE_START), load_i64(pair + 8 * VALUE_END))
        end = copied(data + name, data + until, end, 2) if names(data, name, until) else marked(end, 2, 0)
        end = marked(marked(end, 3, EQUALS), 1, 0)
    return end - text, words


@nb.njit(cache=True, nogil=True)
def names(data: int, i: int, until: int) -> bool:
    """Whether a name can stand in a template: short, without digits and control bytes."""
    k = i
    while k < until and KIND[load_u8(data + k)] != DIGIT and KIND[load_u8(data + k)] != SPACE:
        k += 1
    return k == until and i < until <= i + NAME_BYTES_MAX
