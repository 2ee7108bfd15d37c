"""Cuts the JSON of log lines into component, text and level, compiled: what usual lines are written as."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

HEAD: Final = np.frombuffer(b'{"component":"', np.uint8)
MIDDLE: Final = np.frombuffer(b'","text":"', np.uint8)
LEVEL: Final = np.frombuffer(b'","level":"', np.uint8)
END: Final = np.frombuffer(b'"}', np.uint8)
QUOTE: Final = 34
BACKSLASH: Final = 92
LINE_FEED: Final = 10
ESCAPED: Final = np.zeros(256, np.uint8)
"""What stands for a byte behind a backslash; 0: nothing that is read here."""
ESCAPED[list(b'"\\/bfnrt')] = list(b'"\\/\b\f\n\r\t')


@nb.njit(cache=True, nogil=True)
def cut_lines(offsets: Any, data: Any, rows: Any, texts: Any, components: Any, levels: Any) -> bool:
    """Fill (bytes, ends) of each part; each text ends with a line feed. False if a line is not as usual."""
    text, text_ends = texts
    component, component_ends = components
    level, level_ends = levels
    t, c, v = 0, 0, 0
    for k in range(len(rows)):
        i, end = offsets[rows[k]], offsets[rows[k] + 1]
        if not begins(data, i, end, HEAD):
            return False
        i, c = copied(data, i + len(HEAD), end, component, c)
        if not begins(data, i, end, MIDDLE):
            return False
        i, t = copied(data, i + len(MIDDLE), end, text, t)
        text[t] = LINE_FEED
        t += 1
        if begins(data, i, end, LEVEL):
            i, v = copied(data, i + len(LEVEL), end, level, v)
        if i + len(END) != end or not begins(data, i, end, END):
            return False
        text_ends[k], component_ends[k + 1], level_ends[k + 1] = t, c, v
    return True


@nb.njit(cache=True, nogil=True)
def begins(data: Any, i: int, end: int, word: Any) -> bool:
    """Whether the word stands at `i`."""
    if i < 0 or end - i < len(word):
        return False
    k = 0
    while k < len(word) and data[i + k] == word[k]:
        k += 1
    return k == len(word)


@nb.njit(cache=True, nogil=True)
def copied(data: Any, i: int, end: int, out: Any, to: int) -> tuple[int, int]:
    """Copy a string up to its quote; gives where that stands, -1 if the string is not as usual."""
    while i < end:
        byte = data[i]
        if byte == QUOTE:
            return i, to
        if byte == BACKSLASH:
            i += 1
            byte = ESCAPED[data[i]] if i < end else np.uint8(0)
            if byte == 0:
                return -1, to
        out[to] = byte
        to += 1
        i += 1
    return -1, to
