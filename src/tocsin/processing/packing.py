"""Rows that are mostly zero, packed: of each row a bit per item, then the items that are not zero.

Cells of hours that were never visited and policies that never ran are zero from the beginning, so a young
series takes a tenth of its memory. Nothing here knows what an item means; what is unpacked is equal byte
by byte.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import I32, I64, U8
from tocsin.intrinsics import address_of, load_short, load_u64


def pack_rows(rows: npt.NDArray[Any], numbers: I32, ends: I64) -> list[bytes]:
    """The rows with these numbers, one packed piece for those up to each end."""
    raw, items = _bytes_of(rows)
    room = np.empty(len(numbers) * ((items + 7) // 8 + raw.shape[1]), np.uint8)
    written = np.zeros(len(ends), np.int64)
    if items:
        _pack(raw, items, numbers, ends, room, written)
    return [room[first:last].tobytes() for first, last in pairwise([0, *written.tolist()])]


def unpack_rows(packed: bytes, rows: npt.NDArray[Any]) -> bool:
    """Fill zeroed rows from a piece; whether it holds exactly so many."""
    raw, items = _bytes_of(rows)
    read = _unpack(np.frombuffer(packed, np.uint8), items, raw) if items else 0
    return bool(read == len(packed))


def _bytes_of(rows: npt.NDArray[Any]) -> tuple[U8, int]:
    """The rows as bytes, and how many items each has."""
    items = math.prod(rows.shape[1:])
    return rows.view(np.uint8).reshape(len(rows), items * rows.itemsize), items


@nb.njit(cache=True, nogil=True)
def _is_zero(address: int, size: int) -> Any:
    """Whether the bytes at an address are all zero."""
    found = nb.uint64(0)
    for k in range(0, size - 7, 8):
        found |= load_u64(address + k)
    tail = size & 7
    return found | load_short(address + size - tail, tail) == nb.uint64(0)


@nb.njit(cache=True, nogil=True)
def _pack(raw: U8, items: int, numbers: I32, ends: I64, out: U8, written: I64) -> None:
    size, head = raw.shape[1] // items, (items + 7) // 8
    base, at, done = address_of(raw), 0, 0
    for part in range(len(ends)):
        for i in range(done, ends[part]):
            row, bits = nb.int64(numbers[i]), at
            out[bits : bits + head] = 0
            at += head
            for item in range(items):
                first = item * size
                if _is_zero(base + row * raw.shape[1] + first, size):
                    continue
                out[bits + (item >> 3)] |= np.uint8(1 << (item & 7))
                for k in range(size):
                    out[at + k] = raw[row, first + k]
                at += size
        done = ends[part]
        written[part] = at


@nb.njit(cache=True, nogil=True)
def _unpack(packed: U8, items: int, raw: U8) -> int:
    """How many bytes were read; more than there are where the piece is too short."""
    size, head = raw.shape[1] // items, (items + 7) // 8
    at = 0
    for row in range(len(raw)):
        bits = at
        at += head
        for item in range(items):
            if at > len(packed):
                return len(packed) + 1
            if packed[bits + (item >> 3)] & np.uint8(1 << (item & 7)) == 0:
                continue
            if at + size > len(packed):
                return len(packed) + 1
            for k in range(size):
                raw[row, item * size + k] = packed[at + k]
            at += size
    return at
