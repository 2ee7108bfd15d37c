"""Names as small numbers: a hash table over bytes that numbers names as they first appear."""

from __future__ import annotations

import secrets
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.errors import TooLargeError
from tocsin.events import I32, U8, Strings
from tocsin.intrinsics import address_of, fold_product, load_i32, load_short, load_u64, prefetch

U64 = npt.NDArray[np.uint64]

_ARENA_BYTES_MAX: Final = 2**31 - 1
_FIRST_SLOTS: Final = 1024
_SLOT_AHEAD: Final = 16
_NAME_AHEAD: Final = 4
_STRIDE: Final = nb.uint64(0x9E3779B97F4A7C15)
_ID_MASK: Final = nb.uint64(0xFFFFFFFF)


class Interner:
    """Numbers distinct byte strings 0, 1, 2 … as they first appear; equal bytes get equal numbers.

    About 10 ns a name while the tables fit the cache, 30 to 70 beyond. Numbers depend on the order of the
    names alone: the hash is seeded at random only so that nobody can choose names that collide. Holds at
    most 2 GiB of names; the caller bounds their count. `intern` is not thread-safe, and one thread may not
    read while another interns.
    """

    def __init__(self) -> None:
        self._seed = np.uint64(secrets.randbits(64))
        self._slots: U64 = np.zeros(_FIRST_SLOTS, np.uint64)
        self._offsets: I32 = np.zeros(_FIRST_SLOTS // 2 + 1, np.int32)
        self._arena: U8 = np.zeros(_FIRST_SLOTS * 16, np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def intern(self, strings: Strings) -> I32:
        """The number of each string; unknown ones get the next numbers, in row order."""
        numbers = self.find(strings)
        unknown = np.flatnonzero(numbers < 0)
        done = int(unknown[0]) if len(unknown) else len(strings)
        while done < len(strings):
            done, self._count = _intern(
                strings.offsets,
                strings.data,
                done,
                self._seed,
                self._slots,
                self._offsets,
                self._arena,
                self._count,
                numbers,
            )
            if done < len(strings):
                self._grow(int(strings.offsets[done + 1] - strings.offsets[done]))
        return numbers

    def find(self, strings: Strings) -> I32:
        """The number of each string, -1 where it is unknown; adds nothing."""
        numbers: I32 = np.empty(len(strings), np.int32)
        _find(strings.offsets, strings.data, self._seed, self._slots, self._offsets, self._arena, numbers)
        return numbers

    def name(self, number: int) -> str:
        """The string with this number."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._arena[self._offsets[number] : self._offsets[number + 1]].tobytes().decode()

    def names(self) -> Strings:
        """All strings by number; a copy."""
        used = int(self._offsets[self._count])
        return Strings(self._offsets[: self._count + 1].copy(), self._arena[:used].copy())

    def take(self, numbers: I32) -> Strings:
        """The strings with these numbers, in that order."""
        known = Strings(self._offsets[: self._count + 1], self._arena)
        return known.take(numbers.astype(np.int64))

    def _grow(self, length: int) -> None:
        """Make room for at least one more name of `length` bytes."""
        if self._count >= len(self._offsets) - 1:
            self._offsets = np.concatenate([self._offsets, np.zeros(len(self._offsets), np.int32)])
            self._slots = np.zeros(len(self._slots) * 2, np.uint64)
            _rehash(self._slots, self._offsets, self._arena, self._count, self._seed)
        needed = int(self._offsets[self._count]) + length
        if needed > len(self._arena):
            if needed > _ARENA_BYTES_MAX:
                raise TooLargeError("there are more than 2 GiB of names; lower the limits on names")
            size = min(max(needed, 2 * len(self._arena)), _ARENA_BYTES_MAX)
            self._arena = np.concatenate([self._arena, np.zeros(size - len(self._arena), np.uint8)])


@nb.njit(cache=True, nogil=True)
def hash_bytes(start: int, length: int, seed: Any) -> Any:
    """A 64-bit hash of the bytes at an address; not cryptographic, but unpredictable without the seed."""
    mixed = seed ^ nb.uint64(length)
    i = 0
    while i + 8 <= length:
        mixed = fold_product(mixed ^ load_u64(start + i), _STRIDE)
        i += 8
    if i < length:
        mixed = fold_product(mixed ^ load_short(start + i, length - i), _STRIDE)
    return fold_product(mixed ^ seed, _STRIDE)


@nb.njit(cache=True, nogil=True)
def equal_bytes(left: int, right: int, length: int) -> bool:
    """Whether the `length` bytes at two addresses are the same."""
    if length < 8:
        short: bool = load_short(left, length) == load_short(right, length)
        return short
    i = 0
    while i + 8 <= length:
        if load_u64(left + i) != load_u64(right + i):
            return False
        i += 8
    tail: bool = load_u64(left + length - 8) == load_u64(right + length - 8)
    return tail


@nb.njit(cache=True, nogil=True)
def _slot_of(
    start: int, length: int, mixed: Any, slots: int, mask: Any, offsets: int, arena: int
) -> tuple[Any, Any]:
    """The slot where this name is or belongs, and what it holds.

    A slot is 0 when free, else the upper half of the hash and the number + 1.
    """
    at = mixed & mask
    word = load_u64(slots + nb.int64(at << nb.uint64(3)))
    while word != nb.uint64(0):
        if (word ^ mixed) >> nb.uint64(32) == nb.uint64(0):
            place = offsets + 4 * (nb.int64(word & _ID_MASK) - 1)
            first = load_i32(place)
            if load_i32(place + 4) - first == length and equal_bytes(arena + first, start, length):
                break
        at = (at + nb.uint64(1)) & mask
        word = load_u64(slots + nb.int64(at << nb.uint64(3)))
    return at, word


@nb.njit(cache=True, nogil=True)
def _intern(
    rows: I32,
    data: U8,
    done: int,
    seed: Any,
    slots: U64,
    offsets: I32,
    arena: U8,
    count: int,
    numbers: I32,
) -> tuple[int, int]:
    """Number rows from `done` on until all are done or a table is full; (rows done, names now)."""
    base, kept, table, places = address_of(data), address_of(arena), address_of(slots), address_of(offsets)
    mask = nb.uint64(len(slots) - 1)
    for row in range(done, len(rows) - 1):
        start, end = nb.int64(rows[row]), nb.int64(rows[row + 1])
        mixed = hash_bytes(base + start, end - start, seed)
        at, word = _slot_of(base + start, end - start, mixed, table, mask, places, kept)
        if word != nb.uint64(0):
            numbers[row] = nb.int64(word & _ID_MASK) - 1
            continue
        first = nb.int64(offsets[count])
        if count >= len(offsets) - 1 or first + end - start > len(arena):
            return row, count
        arena[first : first + end - start] = data[start:end]
        numbers[row] = count
        count += 1
        offsets[count] = first + end - start
        slots[at] = (mixed & ~_ID_MASK) | nb.uint64(count)
    return len(rows) - 1, count


@nb.njit(cache=True, nogil=True)
def _find(rows: I32, data: U8, seed: Any, slots: U64, offsets: I32, arena: U8, numbers: I32) -> None:
    """Number the known rows. Memory is asked for some rows ahead: at first the slot, then what it names."""
    base, kept, table, places = address_of(data), address_of(arena), address_of(slots), address_of(offsets)
    mask = nb.uint64(len(slots) - 1)
    mixed = np.empty(len(rows) - 1, np.uint64)
    for row in range(len(rows) - 1):
        start = nb.int64(rows[row])
        mixed[row] = hash_bytes(base + start, nb.int64(rows[row + 1]) - start, seed)
    for row in range(len(rows) - 1):
        if row + _SLOT_AHEAD < len(mixed):
            prefetch(table + nb.int64((mixed[row + _SLOT_AHEAD] & mask) << nb.uint64(3)))
        if row + _NAME_AHEAD < len(mixed):
            likely = nb.int64(slots[mixed[row + _NAME_AHEAD] & mask] & _ID_MASK) - 1
            prefetch(kept + load_i32(places + 4 * max(likely, 0)))
        start = nb.int64(rows[row])
        length = nb.int64(rows[row + 1]) - start
        _, word = _slot_of(base + start, length, mixed[row], table, mask, places, kept)
        numbers[row] = nb.int64(word & _ID_MASK) - 1


@nb.njit(cache=True, nogil=True)
def _rehash(slots: U64, offsets: I32, arena: U8, count: int, seed: Any) -> None:
    kept = address_of(arena)
    mask = nb.uint64(len(slots) - 1)
    for number in range(count):
        start = nb.int64(offsets[number])
        mixed = hash_bytes(kept + start, nb.int64(offsets[number + 1]) - start, seed)
        at = mixed & mask
        while slots[at] != nb.uint64(0):
            at = (at + nb.uint64(1)) & mask
        slots[at] = (mixed & ~_ID_MASK) | nb.uint64(number + 1)
