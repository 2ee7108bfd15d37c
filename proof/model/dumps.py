"""Where a device's dumps belong, told from the whole past each time: DESIGN.md, "Log dumps", and ADR 0039."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from proof.model.episodes import Episode, of_gap
from proof.model.log_silence import LogSilence
from proof.model.records import DumpCame, GapGivenUp

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

    def places(self) -> Counter[str]:
        """How many of the dumps that came are where."""
        waiting = [number for number in self.waiting() if number not in self.quarantined]
        return self.counts + Counter(ready=len(self.ready), waiting=len(waiting))


@dataclass(slots=True)
class DeviceDumps:
    """The dumps of a device, and what a detector is to see of them (ADR 0041).

    `judged` are those it has seen when all is done, whatever came between. `early` are gaps given up
    before anything had waited for its time.
    """

    order: DumpModel = field(default_factory=DumpModel)
    came: dict[Number, DumpCame] = field(default_factory=dict)
    judged: set[Number] = field(default_factory=set)
    early: list[GapGivenUp] = field(default_factory=list)
    silence: LogSilence = field(default_factory=LogSilence)

    def receive(self, dump: DumpCame, *, watched: bool) -> bool:
        """One comes; whether it is neither repeated nor in conflict."""
        apart = self.order.counts["duplicate"] + self.order.counts["conflict"]
        number = (dump.epoch, dump.sequence)
        if dump.outcome != "conflict":
            self.came.setdefault(number, dump)
        ready, late = len(self.order.ready), len(self.order.after_gap)
        self.order.receive(number, dump.outcome)
        self._show(self.order.ready[ready:], self.order.after_gap[late:], watched=watched)
        return apart == self.order.counts["duplicate"] + self.order.counts["conflict"]

    def give_up(self, gap: GapGivenUp, *, wait_ms: int, watched: bool) -> list[Episode]:
        """A gap ends; the episode that says so, if anything is missing."""
        order = self.order
        ready, missing = len(order.ready), len(order.missing)
        waiting, passed = order.waiting(), set(order.passed)
        order.give_up(gap.epoch, gap.last)
        if order.passed != passed and not self._waited(waiting, gap, wait_ms):
            self.early.append(gap)
        freed = order.ready[ready:]
        self._show(freed, [], watched=watched)
        if len(order.missing) == missing:
            return []
        first = self.came[freed[0]] if freed else None
        stream = ("", "") if first is None else (first.application, first.version)
        return [of_gap(gap, order.missing[missing][1], stream)]

    def _show(self, ready: list[Number], late: list[Number], *, watched: bool) -> None:
        """A detector begins with the first ready dump for which it is in force; then late ones count, too."""
        if not watched:
            return
        self.judged.update(ready)
        if self.judged:
            self.judged.update(late)

    def _waited(self, waiting: list[Number], gap: GapGivenUp, wait_ms: int) -> bool:
        since_ms = self.order.since_ms
        return any(
            number > (gap.epoch, gap.last) and since_ms.get(number, gap.at_ms) + wait_ms <= gap.at_ms
            for number in waiting
        )
