"""Lines of names and values, compiled: JSON objects, logfmt, and the structured data of syslog.

Pairs are rows of places in the line: name from and to, value from and to, and what the pair is for. The usual
names of time, level, component and message are known in any case; which one counts if there are several is
decided by the order in `NAMES`.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from tocsin.intrinsics import load_i64, load_u8, store_i64
from tocsin.templates._bytes import IS_LETTER, KIND, SPACE
from tocsin.templates._header_kernel import skipped

NAME_START, NAME_END, VALUE_START, VALUE_END, ROLE = range(5)
PAIR_FIELDS: Final = 5
PAIRS_MAX: Final = 64
NAME_BYTES_MAX: Final = 64
OTHER, OF_TIME, OF_LEVEL, OF_COMPONENT, OF_TEXT = 0, 1, 2, 3, 4
TAKEN: Final = -1
RANKS: Final = 32
NAMES: Final = {
    OF_TIME: "@timestamp timestamp time ts datetime date asctime @t t eventtime __realtime_timestamp",
    OF_LEVEL: "level severity lvl loglevel log.level levelname @l severity_text severitytext priority",
    OF_COMPONENT: "component logger logger_name loggername module service service.name syslog_identifier name"
    " source app unit tag",
    OF_TEXT: "message msg @m @mt text event log body",
}
"""What the usual names stand for, the most telling first."""


def name_hash_of(name: bytes) -> int:
    """61 bits of a name in small letters."""
    value = len(name)
    for byte in name:
        value = (value * 1_000_003 ^ byte) & (2**61 - 1)
    return value


_KNOWN: Final = [
    (name_hash_of(name.encode()), role * RANKS + rank)
    for role, names in NAMES.items()
    for rank, name in enumerate(names.split())
]
SLOTS: Final = 256
NAME_HASHES: Final = np.zeros(SLOTS, np.int64)
NAME_ROLES: Final = np.zeros(SLOTS, np.int64)
for _key, _role in _KNOWN:
    _slot = _key % SLOTS
    while NAME_ROLES[_slot]:
        _slot = (_slot + 1) % SLOTS
    NAME_HASHES[_slot], NAME_ROLES[_slot] = _key, _role
KNOWN_BYTES_MAX: Final = max(len(name) for names in NAMES.values() for name in names.split())


@nb.njit(cache=True, nogil=True)
def role_of(data: int, i: int, until: int) -> int:
    """What a name stands for, times `RANKS`, plus its rank; 0 = nothing known."""
    if until - i > KNOWN_BYTES_MAX:
        return 0
    value = until - i
    for k in range(i, until):
        byte = load_u8(data + k)
        value = (value * 1_000_003 ^ (byte + 32 if 65 <= byte <= 90 else byte)) & (2**61 - 1)
    slot = value & (SLOTS - 1)
    while NAME_ROLES[slot] and NAME_HASHES[slot] != value:
        slot = (slot + 1) & (SLOTS - 1)
    return int(NAME_ROLES[slot])


@nb.njit(cache=True, nogil=True)
def string_end(data: int, i: int, end: int) -> int:
    """Where the quote stands that ends a text which begins at `i`; -1 = none."""
    k = i
    while k < end and load_u8(data + k) != 34:
        k += 2 if load_u8(data + k) == 92 else 1
    return k if k < end else -1


@nb.njit(cache=True, nogil=True)
def keep_pair(data: int, pairs: int, count: int, name: int, name_end: int, value: int, value_end: int) -> int:
    """Append a pair, if there is room; gives the new count."""
    if count == PAIRS_MAX:
        return count
    pair = pairs + 8 * PAIR_FIELDS * count
    store_i64(pair + 8 * NAME_START, name)
    store_i64(pair + 8 * NAME_END, name_end)
    store_i64(pair + 8 * VALUE_START, value)
    store_i64(pair + 8 * VALUE_END, value_end)
    store_i64(pair + 8 * ROLE, role_of(data, name, name_end))
    return count + 1


@nb.njit(cache=True, nogil=True)
def object_pairs(data: int, i: int, end: int, pairs: int) -> int:
    """The pairs of a JSON object that goes from `i` to the end of the line; -1 = it is none."""
    k, count = skipped(data, i + 1, end), 0
    closed = k < end and load_u8(data + k) == 125
    while not closed and k < end and load_u8(data + k) == 34:
        name, name_end = k + 1, string_end(data, k + 1, end)
        value = value_start(data, name_end, end)
        until = value_end(data, value, end)
        if until <= value:
            return -1
        quoted = load_u8(data + value) == 34
        count = keep_pair(data, pairs, count, name, name_end, value + quoted, until - quoted)
        k = skipped(data, until, end)
        closed = k < end and load_u8(data + k) == 125
        if k >= end or load_u8(data + k) not in (44, 125):
            return -1
        if not closed:
            k = skipped(data, k + 1, end)
    return count if closed and skipped(data, k + 1, end) == end else -1


@nb.njit(cache=True, nogil=True)
def value_start(data: int, quote: int, end: int) -> int:
    """Behind the colon that follows the quote of a name; the end = none."""
    k = skipped(data, quote + 1, end) if quote >= 0 else end
    return skipped(data, k + 1, end) if k < end and load_u8(data + k) == 58 else end


@nb.njit(cache=True, nogil=True)
def value_end(data: int, i: int, end: int) -> int:
    """Behind the JSON value at `i`; 0 or `i` = none. What is inside other objects is not looked at."""
    if i < end and load_u8(data + i) == 34:
        return string_end(data, i + 1, end) + 1
    if i < end and load_u8(data + i) in (91, 123):
        return nested_end(data, i, end)
    k = i
    while (
        k < end and KIND[load_u8(data + k)] != SPACE and load_u8(data + k) not in (34, 44, 91, 93, 123, 125)
    ):
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def nested_end(data: int, i: int, end: int) -> int:
    """Behind the bracket that closes the one at `i`, of whatever kind; 0 = none."""
    depth, k = 0, i
    while k < end:
        byte = load_u8(data + k)
        if byte == 34:
            k = string_end(data, k + 1, end)
            if k < 0:
                return 0
        depth += byte in (91, 123)
        depth -= byte in (93, 125)
        k += 1
        if depth == 0:
            return k
    return 0


@nb.njit(cache=True, nogil=True)
def names_byte(byte: int) -> bool:
    """Whether a name of logfmt may hold a byte."""
    return bool(IS_LETTER[byte] or 48 <= byte <= 57 or byte in (45, 46, 47, 64, 95))


@nb.njit(cache=True, nogil=True)
def equal_pairs(data: int, i: int, end: int, pairs: int, count: int) -> int:
    """Append the pairs of `name=value` from `i` to the end; gives the new count, -1 = it is something else.

    Values are quoted or have no space.
    """
    k = skipped(data, i, end)
    while k < end:
        name = k
        while k < end and names_byte(load_u8(data + k)):
            k += 1
        if k == name or k >= end or load_u8(data + k) != 61:
            return -1
        name_end, k = k, k + 1
        value = k
        if k < end and load_u8(data + k) == 34:
            value, k = k + 1, string_end(data, k + 1, end)
            if k < 0:
                return -1
            count = keep_pair(data, pairs, count, name, name_end, value, k)
            k += 1
        else:
            while k < end and KIND[load_u8(data + k)] != SPACE and load_u8(data + k) != 34:
                k += 1
            count = keep_pair(data, pairs, count, name, name_end, value, k)
        if k < end and KIND[load_u8(data + k)] != SPACE:
            return -1
        k = skipped(data, k, end)
    return count


@nb.njit(cache=True, nogil=True)
def best_of(pairs: int, count: int, role: int) -> int:
    """The pair with the most telling name for a role; -1 = none."""
    best = -1
    for place in range(count):
        if load_i64(pairs + 8 * (PAIR_FIELDS * place + ROLE)) // RANKS == role and (
            best < 0
            or load_i64(pairs + 8 * (PAIR_FIELDS * place + ROLE))
            < load_i64(pairs + 8 * (PAIR_FIELDS * best + ROLE))
        ):
            best = place
    return best
