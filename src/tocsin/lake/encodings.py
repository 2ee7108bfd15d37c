"""Parquet's encodings, compiled: bit-packed codes and levels, deltas of integers, plain strings."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import I32, I64, U8
from tocsin.lake.thrift import varint

U64 = npt.NDArray[np.uint64]

_BLOCK: Final = 128
_MINI: Final = 32


def packed(codes: npt.NDArray[Any], width: int) -> bytes:
    """Codes of `width` bits as one bit-packed run, or as one repeated value where all are equal."""
    count = len(codes)
    if count and codes[0] == codes[-1] and (codes == codes[0]).all():
        return varint(count << 1) + int(codes[0]).to_bytes((width + 7) // 8, "little")
    groups = (count + 7) // 8
    words = _pack(codes, np.uint64(width), groups)
    return varint(groups << 1 | 1) + words.view(np.uint8)[: groups * width].tobytes()


def levels(bits: U8) -> bytes:
    """Repetition or definition levels 0 and 1, with their length in front."""
    body = packed(bits, 1)
    return len(body).to_bytes(4, "little") + body


def deltas(values: I64) -> bytes:
    """DELTA_BINARY_PACKED: steps above the least of 128, in as few bits as 32 of them need."""
    head = varint(_BLOCK) + varint(_BLOCK // _MINI) + varint(len(values))
    if not len(values):
        return head + b"\0"
    out: U8 = np.empty(10 + (len(values) // _BLOCK + 1) * (14 + _BLOCK * 8), np.uint8)
    return head + out[: _deltas(values, out)].tobytes()


def plain_strings(offsets: I32, data: U8) -> bytes:
    """Every string behind its length in 4 bytes."""
    out: U8 = np.empty(4 * (len(offsets) - 1) + int(offsets[-1] - offsets[0]), np.uint8)
    _plain_strings(offsets, data, out)
    return out.tobytes()


def entry_levels(offsets: I32) -> tuple[U8, U8]:
    """Repetition and definition levels of lists; an empty list has one entry, which is not defined."""
    sizes = offsets[1:] - offsets[:-1]
    if len(sizes) and sizes.min() > 0:
        defined: U8 = np.ones(int(offsets[-1] - offsets[0]), np.uint8)
        repeated = np.ones_like(defined)
        repeated[offsets[:-1] - offsets[0]] = 0
        return repeated, defined
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(np.maximum(sizes, 1), out=starts[1:])
    repeated = np.ones(int(starts[-1]), np.uint8)
    repeated[starts[:-1]] = 0
    defined = np.ones(int(starts[-1]), np.uint8)
    defined[starts[:-1][sizes == 0]] = 0
    return repeated, defined


@nb.njit(cache=True, nogil=True)
def _pack(codes: Any, width: Any, groups: int) -> U64:
    words = np.zeros((groups * 8 * nb.int64(width)) // 64 + 2, np.uint64)
    word, used = nb.uint64(0), nb.uint64(0)
    at = 0
    for row in range(len(codes)):
        code = nb.uint64(codes[row])
        word |= code << used
        used += width
        if used >= nb.uint64(64):
            words[at] = word
            at += 1
            used -= nb.uint64(64)
            word = code >> (width - used) if used > nb.uint64(0) else nb.uint64(0)
    words[at] = word
    return words


@nb.njit(cache=True, nogil=True)
def _put_varint(out: U8, at: int, number: Any) -> int:
    while number > nb.uint64(127):
        out[at] = nb.uint8(number & nb.uint64(127) | nb.uint64(128))
        at += 1
        number >>= nb.uint64(7)
    out[at] = nb.uint8(number)
    return at + 1


@nb.njit(cache=True, nogil=True)
def _zigzag(number: int) -> Any:
    return nb.uint64(number << 1) ^ nb.uint64(number >> 63)


@nb.njit(cache=True, nogil=True)
def _deltas(values: I64, out: U8) -> int:
    at = _put_varint(out, 0, _zigzag(values[0]))
    steps = np.empty(_BLOCK, np.int64)
    for start in range(1, len(values), _BLOCK):
        count = min(_BLOCK, len(values) - start)
        least = values[start] - values[start - 1]
        for i in range(count):
            steps[i] = values[start + i] - values[start + i - 1]
            least = min(least, steps[i])
        at = _put_varint(out, at, _zigzag(least))
        widths = at
        at += _BLOCK // _MINI
        for mini in range(_BLOCK // _MINI):
            first, last = mini * _MINI, min(count, (mini + 1) * _MINI)
            at = _put_mini(out, at, widths + mini, steps, first, last, least)
    return at


@nb.njit(cache=True, nogil=True)
def _put_mini(out: U8, at: int, width_at: int, steps: I64, first: int, last: int, least: int) -> int:
    """32 steps above the least, bit-packed; missing ones are 0. Without any, nothing but a width of 0."""
    seen = nb.uint64(0)
    for i in range(first, last):
        seen |= nb.uint64(steps[i] - least)
    width = 0
    while width < 64 and seen >> nb.uint64(width) > nb.uint64(0):
        width += 1
    out[width_at] = nb.uint8(width)
    word, used = nb.uint64(0), 0
    for i in range(first, first + _MINI if last > first else first):
        step = nb.uint64(steps[i] - least) if i < last else nb.uint64(0)
        left = width
        while left > 0:
            taken = min(left, 8 - used)
            word |= (step & ((nb.uint64(1) << nb.uint64(taken)) - nb.uint64(1))) << nb.uint64(used)
            step >>= nb.uint64(taken)
            used += taken
            left -= taken
            if used == 8:
                out[at] = nb.uint8(word)
                at += 1
                word, used = nb.uint64(0), 0
    return at


@nb.njit(cache=True, nogil=True)
def _plain_strings(offsets: I32, data: U8, out: U8) -> None:
    at = 0
    for row in range(len(offsets) - 1):
        length = offsets[row + 1] - offsets[row]
        for byte in range(4):
            out[at + byte] = (length >> (8 * byte)) & 255
        at += 4
        for byte in range(length):
            out[at + byte] = data[offsets[row] + byte]
        at += length
