"""Lines that differ from one before in their digits alone, compiled: what was read of that one holds again.

Programs write the same lines over and over with other numbers. The bytes of a line with each digit as 0 are
its skeleton. Heads, tokens and the masked text follow from what kind a byte is, and all digits are of one
kind, so lines with one skeleton differ in their stamp only. That is read anew at the same place; where there
is none now, or it ends elsewhere, the whole line is. Lines in which the value of other digits counted are
not remembered.

An entry is a hash, fields of 32 bits, the skeleton and the places of the words; places are relative to the
line. Entries stand behind one another; when there is no room all are forgotten, so what a line becomes never
depends on them.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.intrinsics import (
    address_of,
    fold_product,
    load_i32,
    load_i64,
    load_u8,
    load_u64,
    store_i32,
    store_i64,
    store_u64,
)
from tocsin.templates._header_kernel import (
    COLUMNS,
    COMPONENT_START,
    LEVEL,
    TIME_KIND,
    TIME_MS,
    TIME_US,
    take_stamp,
)
from tocsin.templates._stamp_kernel import (
    BY_VALUE,
    KIND_OF_TIME,
    NONE,
    STAMP_AT,
    STAMP_BEHIND,
    STAMP_END,
    STAMP_UNTIL,
    STAMPS,
    begin,
    stamp_end,
)

SIZE, SHAPE, HEADED, WORDS, AT, UNTIL, END, BEHIND, FIRST_COLUMN = 8, 12, 16, 20, 24, 28, 32, 36, 40
"""Where the fields of an entry stand, in bytes; before them is the hash, the last are the head's columns."""
SKELETON: Final = FIRST_COLUMN + 4 * COLUMNS
LINE_BYTES_MIN: Final = 8
LINE_BYTES_MAX: Final = 512
WORDS_MAX: Final = 96
ENTRY_BYTES_MAX: Final = SKELETON + LINE_BYTES_MAX + 8 + 8 * WORDS_MAX
SLOTS: Final = 8192
POOL_BYTES: Final = 1 << 20
USED, ENTRIES, HITS, REST = range(4)
SIZES: Final = 4
"""How full the memory is, how often it knew a line since it was empty, and how many lines it rests."""
REST_LINES: Final = 1 << 16
NOT_LOOKED_FOR: Final = -1
FIRST: Final = 8
"""Where the first entry stands: 0 in the table is a slot without one."""
ZEROES: Final = np.uint64(0x3030303030303030)
LOW: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
BEYOND_NINE: Final = np.uint64(0x7676767676767676)
TOPS: Final = np.uint64(0x8080808080808080)
SEVEN: Final = np.uint64(7)
FOUR: Final = np.uint64(4)
SECRETS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93))
BOTH: Final = np.uint64(0x100000001)


@nb.njit(cache=True, nogil=True)
def forget(memory: Any) -> None:
    """Begin anew, without entries; after a rest, if most of them were of no use."""
    table, _, sizes = memory
    table[:] = 0
    sizes[REST] = REST_LINES if sizes[HITS] < sizes[ENTRIES] else 0
    sizes[USED], sizes[ENTRIES], sizes[HITS] = FIRST, 0, 0


@nb.njit(cache=True, nogil=True)
def zeroed_digits(word: Any) -> Any:
    """Eight bytes with each digit as 0."""
    apart = word ^ ZEROES
    digits = ~(((apart & LOW) + BEYOND_NINE) | apart) & TOPS
    ones = digits >> SEVEN
    return word & ~((ones << FOUR) - ones)


@nb.njit(cache=True, nogil=True)
def write_skeleton(line: int, size: int, place: int) -> Any:
    """The skeleton of a line, filled up with 0, and its hash; of a priority by syslog the value counts."""
    state, k = np.uint64(size) * SECRETS[0], 0
    if load_u8(line) == 60:
        word = load_u64(line)
        store_u64(place, word)
        state, k = fold_product(state ^ word, SECRETS[1]) + SECRETS[0], 8
    while k + 8 <= size:
        word = zeroed_digits(load_u64(line + k))
        store_u64(place + k, word)
        state = fold_product(state ^ word, SECRETS[1]) + SECRETS[0]
        k += 8
    if k < size:
        word = zeroed_digits(load_u64(line + size - 8)) >> np.uint64(8 * (8 - (size - k)))
        store_u64(place + k, word)
        state = fold_product(state ^ word, SECRETS[1]) + SECRETS[0]
    return fold_product(state, SECRETS[0])


@nb.njit(cache=True, nogil=True)
def recalled(line: int, size: int, table: int, pool: int, sizes: int) -> int:
    """The entry of a line's skeleton, 0 if there is none; then `remember` finds skeleton and hash written."""
    rest = load_i64(sizes + 8 * REST)
    if rest:
        store_i64(sizes + 8 * REST, rest - 1)
    if rest or not LINE_BYTES_MIN <= size <= LINE_BYTES_MAX:
        return NOT_LOOKED_FOR
    fresh = pool + load_i64(sizes + 8 * USED)
    key = write_skeleton(line, size, fresh + SKELETON)
    store_u64(fresh, key)
    slot = np.int64(key) & (SLOTS - 1)
    place = load_i32(table + 4 * slot)
    while place:
        entry = pool + place
        if load_u64(entry) == key and load_i32(entry + SIZE) == size and same_skeleton(entry, fresh, size):
            store_i64(sizes + 8 * HITS, load_i64(sizes + 8 * HITS) + 1)
            return int(entry)
        slot = (slot + 1) & (SLOTS - 1)
        place = load_i32(table + 4 * slot)
    return 0


@nb.njit(cache=True, nogil=True)
def same_skeleton(entry: int, other: int, size: int) -> bool:
    """Whether two entries of lines of one size have the same skeleton."""
    k = SKELETON
    while k < SKELETON + size and load_u64(entry + k) == load_u64(other + k):
        k += 8
    return k >= SKELETON + size


@nb.njit(cache=True, nogil=True)
def replay_head(entry: int, data: int, start: int, clock: int, head: int, fields: int) -> bool:
    """The head of a line from its entry and its own stamp; False = the stamp is not what it was there."""
    at = load_i32(entry + AT)
    if at >= 0:
        begin(fields)
        end, behind = load_i32(entry + END), load_i32(entry + BEHIND) != 0
        if stamp_end(data, start + at, start + end, fields, behind) != start + load_i32(entry + UNTIL):
            return False
    kind = load_i32(entry + FIRST_COLUMN + 4 * TIME_KIND)
    if kind != NONE and load_i64(fields + 8 * KIND_OF_TIME) != kind:
        return False
    for column in range(COMPONENT_START, COLUMNS):
        store_i64(head + 8 * column, start + load_i32(entry + FIRST_COLUMN + 4 * column))
    store_i64(head + 8 * LEVEL, load_i32(entry + FIRST_COLUMN + 4 * LEVEL))
    store_i64(head + 8 * TIME_KIND, kind)
    store_i64(head + 8 * TIME_MS, 0)
    store_i64(head + 8 * TIME_US, 0)
    take_stamp(head, fields, clock)
    return True


@nb.njit(cache=True, nogil=True)
def replay_words(entry: int, start: int, spans: int) -> int:
    """Write the places of a line's words; gives how many there are."""
    words = load_i32(entry + WORDS)
    place = entry + SKELETON + (load_i32(entry + SIZE) + 7) // 8 * 8
    by = np.uint64(start) * BOTH
    for word in range(words):
        store_u64(spans + 8 * word, load_u64(place + 8 * word) + by)
    return int(words)


@nb.njit(cache=True, nogil=True)
def remember(
    start: int,
    size: int,
    shape: int,
    headed: bool,
    head: int,
    fields: int,
    spans: int,
    words: int,
    memory: Any,
) -> None:
    """Keep what was read of a line that `recalled` did not know, unless digits may have decided it."""
    table, pool, sizes = memory
    if words > WORDS_MAX or shape < 0 or load_i64(fields + 8 * BY_VALUE) or load_i64(fields + 8 * STAMPS) > 1:
        return
    entry = address_of(pool) + sizes[USED]
    store_i32(entry + SHAPE, shape)
    store_i32(entry + HEADED, headed)
    size_bytes = write_entry(entry, start, size, head, fields, spans, words)
    slot = np.int64(load_u64(entry)) & (SLOTS - 1)
    while table[slot]:
        slot = (slot + 1) & (SLOTS - 1)
    table[slot] = sizes[USED]
    sizes[USED] += size_bytes
    sizes[ENTRIES] += 1
    if sizes[USED] + ENTRY_BYTES_MAX > len(pool) or 2 * sizes[ENTRIES] > SLOTS:
        forget(memory)


@nb.njit(cache=True, nogil=True)
def write_entry(entry: int, start: int, size: int, head: int, fields: int, spans: int, words: int) -> int:
    """The stamp, the head and the words of a line into its entry; gives how many bytes that has."""
    stamped = load_i64(fields + 8 * STAMPS) == 1
    store_i32(entry + SIZE, size)
    store_i32(entry + AT, load_i64(fields + 8 * STAMP_AT) - start if stamped else -1)
    store_i32(entry + UNTIL, load_i64(fields + 8 * STAMP_UNTIL) - start)
    store_i32(entry + END, load_i64(fields + 8 * STAMP_END) - start)
    store_i32(entry + BEHIND, load_i64(fields + 8 * STAMP_BEHIND))
    for column in range(COLUMNS):
        by = start if column >= COMPONENT_START else 0
        store_i32(entry + FIRST_COLUMN + 4 * column, load_i64(head + 8 * column) - by)
    store_i32(entry + WORDS, words)
    place, by_both = entry + SKELETON + (size + 7) // 8 * 8, np.uint64(start) * BOTH
    for word in range(words):
        store_u64(place + 8 * word, load_u64(spans + 8 * word) - by_both)
    return int(place + 8 * words - entry)
