"""Names of the text fields of events, out of their canonical JSON, without a Python object each."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

import numba as nb
import numpy as np

from tocsin.events import I32, I64, U8, Strings

_QUOTE: Final = 0x22
_COMMA: Final = 0x2C
_BACKSLASH: Final = 0x5C
_NONE: Final = Strings.of([])


def text_fields(text: Strings, text_count: I32) -> Strings:
    """The names in all rows of an EventBatch's `text`, one after another, as they are spelled in JSON.

    Row i has `text_count[i]` of them: none in a log line, which has a text all the same, and no batch has
    both kinds. `spelled` gives the same spelling of other names.
    """
    total = int(text_count.sum()) if len(text.data) else 0
    if total == 0:
        return _NONE
    return Strings(*_names(text.offsets, text.data, total))


@lru_cache(maxsize=64)
def spelled(names: tuple[str, ...]) -> Strings:
    """Names as canonical JSON spells them, without the quotes; bodies mostly have the same."""
    return Strings.of([json.dumps(name, ensure_ascii=False)[1:-1] for name in names])


def unspelled(name: str) -> str:
    """The name that is spelled so."""
    return str(json.loads(f'"{name}"'))


@nb.njit(cache=True, nogil=True)
def _names(offsets: I32, data: U8, total: int) -> tuple[I32, U8]:
    ends = np.zeros(total + 1, np.int32)
    out = np.empty(len(data), np.uint8)
    count = 0
    for row in range(len(offsets) - 1):
        i = nb.int64(offsets[row]) + 1
        while i < offsets[row + 1]:
            end = _string_end(data, i)
            length = end - i - 1
            out[ends[count] : ends[count] + length] = data[i + 1 : end]
            ends[count + 1] = ends[count] + length
            count += 1
            i = _value_end(data, end + 2) + 1
    return ends, out[: ends[total]].copy()


@nb.njit(cache=True, nogil=True)
def _string_end(data: U8, i: int) -> int:
    """The closing quote of the string whose opening quote is at `i`."""
    i += 1
    while data[i] != _QUOTE:
        i += 1 + (data[i] == _BACKSLASH)
    return i


@nb.njit(cache=True, nogil=True)
def _value_end(data: U8, i: int) -> int:
    """The comma or bracket after the value that begins at `i`."""
    depth = 0
    while True:
        byte = data[i]
        if byte == _QUOTE:
            i = _string_end(data, i)
        elif byte in (0x5B, 0x7B):
            depth += 1
        elif byte in (0x5D, 0x7D):
            if depth == 0:
                return i
            depth -= 1
        elif byte == _COMMA and depth == 0:
            return i
        i += 1


def positions(counts: I32) -> I64:
    """Where each row's names begin, and the end of the last."""
    starts: I64 = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
