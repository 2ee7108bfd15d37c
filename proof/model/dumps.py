"""Where a device's dumps belong, told from the whole past each time: DESIGN.md, "Log dumps"."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

Number = tuple[int, int]  # epoch, sequence


@dataclass(slots=True)
class DumpModel:
    """Keeps every number that was ever seen. Small numbers only: spans are written out."""

    seen: set[Number] = field(default_factory=set)
    passed: set[Number] = field(default_factory=set)  # behind us, whether it came or was given up
    quarantined: set[Number] = field(default_factory=set)
    since_ms: dict[Number, int] = field(default_factory=dict)
    epoch: int | None = None
    ready: list[Number] = field(default_factory=list)
    after_gap: list[Number] = field(default_factory=list)
    missing: list[Number] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def receive(self, number: Number, outcome: str) -> None:
        """One dump comes."""
        if outcome == "conflict":
            self.counts["conflict"] += 1
            return
        if number in self.seen:
            self.counts["duplicate"] += 1
            return
        self.seen.add(number)
        if self.epoch is None:
            self.epoch = number[0]
        if outcome == "quarantined":
            self.quarantined.add(number)
            self.counts["quarantined"] += 1
        elif number in self.passed or number[0] < self.epoch:
            self.counts["after_gap"] += 1
            self.after_gap.append(number)
        self._go_on()

    def tick(self, now_ms: int) -> None:
        """A minute passes."""
        for number in self.waiting():
            self.since_ms.setdefault(number, now_ms)

    def overdue(self, now_ms: int, wait_ms: int) -> tuple[int, int, int] | None:
        """What is to be given up: epoch, first and last missing number."""
        held = self.waiting()
        waited = [number for number in held if self.since_ms.get(number, now_ms) + wait_ms <= now_ms]
        if self.epoch is None or not waited:
            return None
        last = max(number[1] for number in held if number[0] == self.epoch)
        every = [(self.epoch, sequence) for sequence in range(self._next(), last)]
        lost = [number for number in every if number not in held and number < max(waited)]
        return self.epoch, lost[0][1], lost[-1][1]

    def give_up(self, epoch: int, last: int) -> None:
        """Wait no longer for what is missing up to `last`."""
        if epoch != self.epoch:
            return
        while self.waiting() and self.epoch == epoch and self._next() <= last:
            number = (epoch, self._next())
            self.passed.add(number)
            if self.passed & self.seen:  # else it may have joined late, and nothing is missing
                self.missing.append(number)
            self._go_on()

    def waiting(self) -> list[Number]:
        """What came and is not behind us, quarantined ones included, in order."""
        if self.epoch is None:
            return []
        return sorted(n for n in self.seen - self.passed if n[0] >= self.epoch)

    def _next(self) -> int:
        number = 1
        while (self.epoch, number) in self.passed:
            number += 1
        return number

    def _go_on(self) -> None:
        while held := self.waiting():
            first = held[0]
            self.epoch = first[0]
            if first[1] != self._next():
                return
            self.passed.add(first)
            if first not in self.quarantined:
                self.ready.append(first)
