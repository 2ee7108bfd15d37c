"""The devices that a credential speaks for, decided for a whole column of names at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin import threads
from tocsin.events import I32, U8, Strings
from tocsin.interning import Interner

BoolArray = npt.NDArray[np.bool_]
_STAR = 42  # ord("*")


class DeviceScope:
    """All devices of the tenant, or those that are named or match a pattern.

    In a pattern `*` stands for any characters, also none; everything else stands for itself. Thread-safe.
    """

    def __init__(
        self, devices: Sequence[str] = (), patterns: Sequence[str] = (), *, everything: bool = False
    ) -> None:
        self.everything = everything
        self.devices = tuple(devices)
        self.patterns = tuple(patterns)
        self._pattern_column = Strings.of(list(patterns))
        self._single = np.frombuffer(devices[0].encode(), np.uint8) if len(devices) == 1 else None
        self._index: Interner | None = None
        self._lock = threads.lock()

    def covers(self, names: Strings) -> BoolArray:
        """Which of the names belong to the scope."""
        if self.everything:
            return np.ones(len(names), np.bool_)
        found: BoolArray = np.zeros(len(names), np.bool_)
        if self._single is not None:
            _equal(names.offsets, names.data, self._single, found)
        elif self.devices:
            found |= self._named().find(names) >= 0
        if self.patterns:
            patterns = self._pattern_column
            _match_any(names.offsets, names.data, patterns.offsets, patterns.data, found)
        return found

    def _named(self) -> Interner:
        """The hash table of the names, built at the first question and kept."""
        with self._lock:
            if self._index is None:
                index = Interner()
                index.intern(Strings.of(list(self.devices)))
                self._index = index
            return self._index


@nb.njit(cache=True, nogil=True)
def _equal(offsets: I32, data: U8, wanted: U8, found: BoolArray) -> None:
    length = len(wanted)
    for row in range(len(offsets) - 1):
        start = offsets[row]
        if offsets[row + 1] - start != length:
            continue
        same = True
        for i in range(length):
            if data[start + i] != wanted[i]:
                same = False
                break
        found[row] = same


@nb.njit(cache=True, nogil=True)
def _match_any(offsets: I32, data: U8, pattern_offsets: I32, patterns: U8, found: BoolArray) -> None:
    for row in range(len(offsets) - 1):
        for p in range(len(pattern_offsets) - 1):
            if found[row]:
                break
            found[row] = _match(
                data, offsets[row], offsets[row + 1], patterns, pattern_offsets[p], pattern_offsets[p + 1]
            )


@nb.njit(cache=True, nogil=True)
def _match(data: U8, at: Any, end: Any, pattern: U8, p: Any, p_end: Any) -> bool:
    """Greedy with one step back: the last `*` takes one byte more whenever what follows does not fit.

    Bytes serve as well as characters here, since no byte of a UTF-8 character looks like another one.
    """
    star, resume = nb.int64(-1), nb.int64(at)
    while at < end:
        if p < p_end and pattern[p] == _STAR:
            star, resume = nb.int64(p), nb.int64(at)
            p += 1
        elif p < p_end and pattern[p] == data[at]:
            p += 1
            at += 1
        elif star >= 0:
            resume += 1
            p, at = star + 1, resume
        else:
            return False
    while p < p_end and pattern[p] == _STAR:
        p += 1
    finished: bool = p == p_end
    return finished
