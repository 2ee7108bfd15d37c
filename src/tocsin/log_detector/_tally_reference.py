"""What the compiled tally must equal, line by line in plain Python: for tests."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tocsin.log_detector import _tally_kernel as kernel
from tocsin.templates._header_kernel import LEVEL, MESSAGE_START, TIME_KIND, TIME_MS
from tocsin.templates._stamp_kernel import NONE, OF_DAY, UTC
from tocsin.templates.mined import Mined

_NUMBER: Final = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?([A-Za-z%\x80-\xff]*)")


@dataclass(slots=True)
class Values:
    """The numbers that a word was, in order."""

    values: list[float] = field(default_factory=list)

    def row(self) -> list[float]:
        """As the kernel keeps them."""
        row = [0.0] * kernel.NUMBER_FIELDS
        if self.values:
            total = squares = 0.0
            for value in self.values:
                off = value - self.values[0]
                total, squares = total + off, squares + off * off
            pairs = list(zip(self.values, self.values[1:], strict=False))
            row[kernel.COUNT], row[kernel.PIVOT] = float(len(self.values)), self.values[0]
            row[kernel.SUM], row[kernel.SQUARES], row[kernel.NEWEST] = total, squares, self.values[-1]
            row[kernel.UPS] = float(sum(second > first for first, second in pairs))
            row[kernel.DOWNS] = float(sum(second < first for first, second in pairs))
        return row


@dataclass(slots=True)
class PlainTally:
    """The tables of one member, as counters; lines of shapes without room count as those of -1."""

    slots: int
    from_ms: int = 0
    to_ms: int = 0
    base_ms: int = -1
    offset_ms: int = 0
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    levels: Counter[tuple[int, int]] = field(default_factory=Counter)
    worst: dict[int, int] = field(default_factory=dict)
    follows: Counter[tuple[int, int]] = field(default_factory=Counter)
    numbers: dict[tuple[int, int], Values] = field(default_factory=dict)
    examples: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    times_ms: list[int] = field(default_factory=list)
    checked: bool = False
    previous: int = -1
    lines: int = 0

    def add(self, mined: Mined) -> None:
        """Take in a stretch of lines."""
        for line, shape in enumerate(mined.shapes.tolist()):
            self.lines += 1
            if not mined.continued[line]:
                self._line(mined, line, shape)

    def _line(self, mined: Mined, line: int, shape: int) -> None:
        head = mined.heads[line].tolist()
        slot = self._slot(head)
        self.counts[shape, slot] += 1
        self.levels[head[LEVEL], slot] += 1
        self.worst[shape] = max(self.worst.get(shape, 0), head[LEVEL])
        raw = mined.data.tobytes()
        start = raw.rfind(b"\n", 0, head[MESSAGE_START]) + 1
        text = raw[start:].split(b"\n", 1)[0]
        text = (text[:-1] if text.endswith(b"\r") else text)[: kernel.EXAMPLE_BYTES]
        first = self.examples.get(shape, [(self.lines, text)])[0]
        self.examples[shape] = [first, (self.lines, text)]
        if not 0 <= shape < kernel.FOLLOWED:
            self.previous = -1
            return
        if self.previous >= 0:
            self.follows[self.previous, shape] += 1
        self.previous = shape
        for place, word in enumerate(mined.words_of(line)[: kernel.WORDS]):
            value = number_of(word)
            if value is not None:
                self.numbers.setdefault((shape, place), Values()).values.append(value)

    def _slot(self, head: list[int]) -> int:
        if head[TIME_KIND] == NONE:
            return self._hour(self.times_ms[-1]) if self.times_ms else self.slots
        ms = head[TIME_MS]
        if head[TIME_KIND] == OF_DAY:
            near = self.times_ms[-1] if self.times_ms else self.from_ms
            apart = (ms - self.offset_ms - near) % kernel.DAY_MS
            ms = near + (apart - kernel.DAY_MS if apart >= kernel.DAY_MS // 2 else apart)
        elif head[TIME_KIND] != UTC:
            self._check(ms)
            ms -= self.offset_ms
        self.times_ms.append(ms)
        if self.base_ms < 0:
            self.base_ms = ms - (ms + self.offset_ms) % kernel.HOUR_MS
        return self._hour(ms)

    def hours(self) -> list[tuple[int, int, int, int]]:
        """The hours of stamps in order, each with its lines, its oldest stamp and its newest."""
        found: dict[int, list[int]] = {}
        for ms in self.times_ms:
            found.setdefault(ms // kernel.HOUR_MS, []).append(ms)
        return [(hour, len(each), min(each), max(each)) for hour, each in sorted(found.items())]

    def _check(self, ms: int) -> None:
        if self.checked:
            return
        self.checked = True
        said = ms - self.offset_ms
        late = self.to_ms > 0 and said > self.to_ms + kernel.SLACK_MS
        if self.from_ms > 0 and (said < self.from_ms - kernel.SLACK_MS or late):
            offset = (ms - self.from_ms + kernel.SLACK_MS) // kernel.QUARTER_MS * kernel.QUARTER_MS
            if abs(offset) <= kernel.OFFSET_MS_MAX:
                self.offset_ms = offset

    def _hour(self, ms: int) -> int:
        return min(max((ms - self.base_ms) // kernel.HOUR_MS, 0), self.slots - 1)


def number_of(word: bytes) -> float | None:
    """A word as a number with or without a unit.

    >>> number_of(b"-3.10V"), number_of(b"10.4.0.7"), number_of(b"1e5")
    (-3.1, None, None)
    """
    found = _NUMBER.fullmatch(word)
    if found is None:
        return None
    sign, whole, decimals = found[1], found[2], found[3] or b""
    if not 0 < len(whole + decimals) <= kernel.DIGITS_MAX:
        return None
    value = int(whole + decimals) / 10.0 ** len(decimals)
    return -value if sign == b"-" else value
