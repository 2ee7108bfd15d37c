"""Tables that grow: structured arrays with one row per device, series or pair."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import I32, I64, U8
from tocsin.intrinsics import address_of, load_u64
from tocsin.memory import zeroed

_SMALL_BYTES_MAX = 1 << 20
_PAGE_BYTES = 4096
_SMALL_GROWTH = 8  # a small table grows by an eighth: there are many of them where there are many tenants


def grow(rows: npt.NDArray[Any], needed: int) -> npt.NDArray[Any]:
    """`rows` with room for `needed` rows; new rows are zero. What `rows` was must not be used any more.

    Large tables double, since room costs nothing until it is written; so rows that nobody ever writes, such
    as those of policies that never ran, take up no memory. While rows move there are at most as many bytes
    in use as the larger table will hold.
    """
    if needed <= len(rows):
        return rows
    if rows.nbytes // len(rows) * needed <= _SMALL_BYTES_MAX:
        length = max(needed, len(rows) + len(rows) // _SMALL_GROWTH, 64)
        rows.resize((length, *rows.shape[1:]), refcheck=False)
        return rows
    larger = zeroed((max(needed, 2 * len(rows)), *rows.shape[1:]), rows.dtype)
    _move(rows.view(np.uint8).reshape(-1), larger.view(np.uint8).reshape(-1))
    return larger


@nb.njit(cache=True, nogil=True)
def _move(source: U8, target: U8) -> None:
    """Copy into zeroed memory, without writing pages of zeroes there."""
    base = address_of(source)
    for first in range(0, len(source), _PAGE_BYTES):
        last = min(first + _PAGE_BYTES, len(source))
        at = first
        while at < last - 7 and load_u64(base + at) == nb.uint64(0):
            at += 8
        while at < last and source[at] == 0:
            at += 1
        if at < last:
            target[first:last] = source[first:last]


class Table:
    """`rows[:count]` are in use.

    >>> table = Table(np.dtype([("x", "i8")]))
    >>> table.extend(3)
    0
    >>> table.count
    3
    """

    def __init__(self, dtype: np.dtype[Any], rows: int = 0) -> None:
        self.rows: npt.NDArray[Any] = np.zeros(max(rows, 1), dtype)
        self.count = 0

    def reserve(self, extra: int) -> None:
        """Make room for `extra` rows beyond `count`."""
        self.rows = grow(self.rows, self.count + extra)

    def extend(self, extra: int) -> int:
        """Take `extra` zeroed rows into use; the index of the first."""
        self.reserve(extra)
        first = self.count
        self.count += extra
        return first

    @property
    def used(self) -> npt.NDArray[Any]:
        """The rows in use, as a view."""
        return self.rows[: self.count]


class PairIndex:
    """Maps pairs of numbers (a, b), both below 2^31, to dense numbers in the order of first appearance."""

    def __init__(self) -> None:
        self._keys: I64 = np.full(1024, -1, np.int64)
        self._numbers: I32 = np.zeros(1024, np.int32)
        self.count = 0

    def reserve(self, extra: int) -> None:
        """Make room for `extra` new pairs, so that `find_or_add` need not grow."""
        needed = 2 * (self.count + extra)
        if needed <= len(self._keys):
            return
        length = 1 << needed.bit_length()
        keys, numbers = np.full(length, -1, np.int64), np.zeros(length, np.int32)
        _rehash(self._keys, self._numbers, keys, numbers)
        self._keys, self._numbers = keys, numbers

    @property
    def arrays(self) -> tuple[I64, I32]:
        """The hash table itself, for kernels that call `find_or_add`."""
        return self._keys, self._numbers


@nb.njit(cache=True, nogil=True, inline="always")
def _slot_of(key: Any, mask: int) -> Any:
    x = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((x ^ (x >> np.uint64(29))) & np.uint64(mask))


@nb.njit(cache=True, nogil=True)
def find_or_add(keys: I64, numbers: I32, count: int, a: int, b: int) -> Any:
    """The number of pair (a, b); a new pair gets `count`. The caller has reserved room."""
    key = (np.int64(a) << 32) | np.int64(b)
    mask = len(keys) - 1
    slot = _slot_of(key, mask)
    while keys[slot] != key:
        if keys[slot] == -1:
            keys[slot] = key
            numbers[slot] = count
            return count
        slot = (slot + 1) & mask
    return numbers[slot]


@nb.njit(cache=True, nogil=True)
def _rehash(keys: I64, numbers: I32, new_keys: I64, new_numbers: I32) -> None:
    mask = len(new_keys) - 1
    for i in range(len(keys)):
        if keys[i] != -1:
            slot = _slot_of(keys[i], mask)
            while new_keys[slot] != -1:
                slot = (slot + 1) & mask
            new_keys[slot] = keys[i]
            new_numbers[slot] = numbers[i]
