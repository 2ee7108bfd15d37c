"""Lines to shapes, compiled: heads, masked texts and the table that knows the texts."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.intrinsics import (
    address_of,
    count_trailing_zeros,
    fold_product,
    load_i32,
    load_i64,
    load_u8,
    load_u64,
    store_i32,
    store_i64,
    store_u8,
    store_u64,
)
from tocsin.templates._bytes import DIGIT, KIND, SPACE
from tocsin.templates._declared_kernel import read_declared
from tocsin.templates._fields_kernel import append_fields, read_fields, read_structured
from tocsin.templates._header_kernel import (
    COLUMNS,
    LEVEL,
    STRUCTURED,
    TEXT_END,
    TEXT_START,
    TIME_KIND,
    read_header,
)
from tocsin.templates._message_kernel import TEXT_BYTES_MAX, TOKENS_MAX, scan_message
from tocsin.templates._pairs_kernel import NAME_BYTES_MAX, PAIRS_MAX
from tocsin.templates._recall_kernel import HEADED as HEADED_LINE
from tocsin.templates._recall_kernel import (
    NOT_LOOKED_FOR,
    SHAPE,
    recalled,
    remember,
    replay_head,
    replay_words,
)
from tocsin.templates._stamp_kernel import BY_VALUE, STAMPS

LAST, HEADED, LOOSE, SHAPES, POOL_BYTES, LINES = range(6)
"""Columns of the counters: shape of the last line with a head, lines with and without one, and sizes."""
COUNTERS: Final = 6
FULL: Final = -1
LINE_BYTES_MAX: Final = 1 << 20
HEADED_MIN: Final = 8
HEADED_SHARE: Final = 4
WORDS_MAX: Final = TOKENS_MAX + 2 * PAIRS_MAX
"""Words of a line: those of its text, and names and values."""
MASKED_BYTES_MAX: Final = TEXT_BYTES_MAX + PAIRS_MAX * (NAME_BYTES_MAX + 5)
LINE_FEEDS: Final = np.uint64(0x0A0A0A0A0A0A0A0A)
ONES: Final = np.uint64(0x0101010101010101)
TOPS: Final = np.uint64(0x8080808080808080)
SECRETS: Final = (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)


@nb.njit(cache=True, nogil=True)
def mine_lines(
    data: Any,
    start: int,
    size: int,
    whole: bool,
    reader: Any,
    known: Any,
    counters: Any,
    out: Any,
    scratch: Any,
    recall: Any,
) -> tuple[int, int, int]:
    """Assign a shape to each line of `data` from `start`; gives where it stopped, lines and words.

    Stops at a line without an end unless the data are `whole`, and when the room in `out` may not suffice.
    """
    shapes, heads, ends, spans, continued = out
    raw, text, room = address_of(data), address_of(scratch[0]), address_of(spans)
    fields, pairs = address_of(scratch[1]), address_of(scratch[2])
    clock, form = address_of(reader[0]), reader[1:]
    table, hashes, starts, counts, pool = known
    places = (
        address_of(table),
        address_of(hashes),
        address_of(starts),
        address_of(counts),
        address_of(pool),
    )
    full = (len(table), len(hashes), len(pool))
    tally = address_of(counters)
    i, lines, words = start, 0, 0
    memory = (address_of(recall[0]), address_of(recall[1]), address_of(recall[2]))
    recalls = remembers(form)
    while i < size and lines < len(shapes) and words + WORDS_MAX <= len(spans):
        end = line_end(raw, i, size)
        if end == size and not whole:
            break
        kept = min(end, i + LINE_BYTES_MAX)
        bare = kept - 1 if kept > i and load_u8(raw + kept - 1) == 13 else kept
        head, place, count = address_of(heads) + 8 * COLUMNS * lines, room + 8 * words, 0
        entry = recalled(raw + i, bare - i, *memory) if recalls else NOT_LOOKED_FOR
        if entry > 0 and replay_head(entry, raw, i, clock, head, fields):
            headed = load_i32(entry + HEADED_LINE) != 0
        else:
            store_i64(fields + 8 * STAMPS, 0)
            store_i64(fields + 8 * BY_VALUE, entry)  # one that does not fit here stays
            entry = 0
            headed, count = read_line(raw, i, bare, clock, form, head, fields, pairs)
        counters[LINES] += 1
        if not headed and continues(raw, i, bare, counters):
            shapes[lines], continued[lines] = counters[LAST], 1
        else:
            if entry:
                shape, found = seen_again(load_i32(entry + SHAPE), places[3]), replay_words(entry, i, place)
            else:
                shape, found = mask_line(raw, head, pairs, count, text, place, places, full, tally)
                remember(i, bare - i, shape, headed, head, fields, place, found, recall)
            words += found
            shapes[lines], continued[lines] = shape, 0
            if headed:
                counters[LAST] = shape
            counters[HEADED if headed else LOOSE] += 1
        ends[lines] = words
        lines += 1
        i = end + 1
    return min(i, size), lines, words


@nb.njit(cache=True, nogil=True)
def remembers(form: Any) -> bool:
    """Whether lines that differ in their digits are read alike: not by a format that has digits itself."""
    digits = 0
    for byte in form[2]:
        digits += KIND[byte] == DIGIT
    return digits == 0


@nb.njit(cache=True, nogil=True)
def seen_again(shape: int, counts: int) -> int:
    """Count one more line of a shape."""
    store_i64(counts + 8 * shape, load_i64(counts + 8 * shape) + 1)
    return shape


@nb.njit(cache=True, nogil=True)
def mask_line(
    data: int, head: int, pairs: int, count: int, text: int, spans: int, places: Any, full: Any, tally: int
) -> tuple[int, int]:
    """The shape of a line whose head was read, and how many words it has."""
    start, until = load_i64(head + 8 * TEXT_START), load_i64(head + 8 * TEXT_END)
    length, words = scan_message(data, start, until, text, spans)
    if count:
        length, words = append_fields(data, pairs, count, text, length, spans, words)
    return shape_of(text, length, places, full, tally), words


@nb.njit(cache=True, nogil=True)
def read_line(
    data: int, start: int, end: int, clock: int, form: Any, head: int, fields: int, pairs: int
) -> tuple[bool, int]:
    """The head of a line, declared or recognised; whether there is one, and how many pairs follow."""
    if len(form[0]):
        return read_declared(data, start, end, clock, form[0], form[1], form[2], head, fields), 0
    kind = read_header(data, start, end, clock, head, fields)
    count = read_structured(data, head, pairs) if kind == STRUCTURED else 0
    if count == 0:
        count = read_fields(data, kind, clock, head, fields, pairs)
    said = load_i64(head + 8 * TIME_KIND) != 0 or load_i64(head + 8 * LEVEL) != 0
    return kind != 0 or (count >= 0 and said), max(count, 0)


@nb.njit(cache=True, nogil=True)
def line_end(data: int, i: int, size: int) -> int:
    """Where the next line feed stands, or the size; eight bytes at a time."""
    k = i
    while k + 8 <= size:
        word = load_u64(data + k) ^ LINE_FEEDS
        found = (word - ONES) & ~word & TOPS
        if found:
            return int(k + (count_trailing_zeros(found) >> 3))
        k += 8
    while k < size and load_u8(data + k) != 10:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def continues(data: int, start: int, end: int, counters: Any) -> bool:
    """Whether a line without a head belongs to the last one with a head."""
    if counters[LAST] == -2:
        return False
    if start == end or KIND[load_u8(data + start)] == SPACE or load_u8(data + start) in (41, 93, 125):
        return True
    return bool(counters[HEADED] >= max(HEADED_MIN, HEADED_SHARE * counters[LOOSE]))


@nb.njit(cache=True, nogil=True)
def text_hash(text: int, size: int) -> Any:
    """64 bits of a text at an address that is padded with eight bytes at least, which are set to 0."""
    store_u64(text + size, np.uint64(0))
    state = np.uint64(size) * np.uint64(SECRETS[0])
    for k in range(text, text + size, 8):
        state = fold_product(state ^ load_u64(k), np.uint64(SECRETS[1])) + np.uint64(SECRETS[0])
    return fold_product(state, np.uint64(SECRETS[0]))


@nb.njit(cache=True, nogil=True)
def shape_of(text: int, size: int, places: Any, room: Any, counters: int) -> int:
    """The number of a masked text, a new one if it is new; `FULL` when no room is left.

    `places` are addresses of the table, hashes, starts, counts and pool, `room` is how many slots, shapes and
    bytes of texts fit.
    """
    table, hashes, starts, counts, pool = places
    slots, shapes_max, pool_bytes_max = room
    key = text_hash(text, size)
    slot = np.int64(key) & (slots - 1)
    shape = load_i32(table + 4 * slot)
    while shape >= 0:
        start = load_i64(starts + 8 * shape)
        if (
            load_u64(hashes + 8 * shape) == key
            and load_i64(starts + 8 * shape + 8) - start == size
            and same(text, size, pool + start)
        ):
            store_i64(counts + 8 * shape, load_i64(counts + 8 * shape) + 1)
            return int(shape)
        slot = (slot + 1) & (slots - 1)
        shape = load_i32(table + 4 * slot)
    shape, used = load_i64(counters + 8 * SHAPES), load_i64(counters + 8 * POOL_BYTES)
    if shape == shapes_max or used + size > pool_bytes_max:
        store_i64(counts + 8 * shapes_max, load_i64(counts + 8 * shapes_max) + 1)
        return FULL
    for k in range(size):
        store_u8(pool + used + k, load_u8(text + k))
    store_i32(table + 4 * slot, shape)
    store_u64(hashes + 8 * shape, key)
    store_i64(starts + 8 * shape + 8, used + size)
    store_i64(counts + 8 * shape, 1)
    store_i64(counters + 8 * SHAPES, shape + 1)
    store_i64(counters + 8 * POOL_BYTES, used + size)
    return int(shape)


@nb.njit(cache=True, nogil=True)
def same(text: int, size: int, known: int) -> bool:
    """Whether two texts are the same."""
    k = 0
    while k + 8 <= size:
        if load_u64(text + k) != load_u64(known + k):
            return False
        k += 8
    while k < size and load_u8(text + k) == load_u8(known + k):
        k += 1
    return k == size


@nb.njit(cache=True, nogil=True)
def rebuild(shapes: int, table: Any, hashes: Any, starts: Any, pool: Any, text: Any) -> None:
    """Fill the table for texts that are in the pool already."""
    mask = len(table) - 1
    for shape in range(shapes):
        size = min(starts[shape + 1] - starts[shape], len(text) - 8)
        text[:size] = pool[starts[shape] : starts[shape] + size]
        key = text_hash(address_of(text), size)
        hashes[shape] = key
        slot = np.int64(key & np.uint64(mask))
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = shape
