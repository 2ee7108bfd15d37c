"""The order of one device's dumps: which are ready for a detector, which wait, which came too late.

A pure function of control records. Within an epoch dumps are numbered from 1 and become ready in strictly
ascending order; a missing one is waited for until a control record gives it up. What is kept does not grow
with the dumps that came, only with those that wait and with the spans that are missing.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from tocsin.control import DumpOutcome, DumpReceived, GapGivenUp
from tocsin.processing.dump_numbers import Numbering
from tocsin.processing.dump_pace import DumpPace

WAITING_MAX: Final = 1_000
DICTIONARIES_MAX: Final = 64


class DumpPlace(StrEnum):
    """Where a received dump belongs; each is counted once: received = the sum over all, at any time."""

    READY = "ready"
    WAITING = "waiting"
    AFTER_GAP = "after_gap"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A dump behind a gap. `since_ms`: the first tick that found it waiting, None before that.

    One in quarantine is not waited with, but holds its place in the sequence.
    """

    dump: DumpReceived
    since_ms: int | None = None

    @property
    def place(self) -> tuple[int, int]:
        """Its epoch and its number in it."""
        return self.dump.epoch, self.dump.sequence

    @property
    def quarantined(self) -> bool:
        """Whether it will be passed over."""
        return self.dump.outcome is DumpOutcome.QUARANTINED


class Moved(msgspec.Struct, kw_only=True):
    """What a control record set free: dumps to be processed in this order, and dumps for a correction."""

    ready: list[DumpReceived] = []
    after_gap: list[DumpReceived] = []
    missing: list[tuple[int, int]] = []
    """Spans of numbers, both ends within, that were given up just now."""
    counts: dict[DumpPlace, int] = {}
    """By how many the number of dumps in each place has changed."""
    watched: bool = True
    """Whether a dump detector was in force at that record."""


class DumpOrder(msgspec.Struct, kw_only=True):
    """Where a device stands. Changed in place; its encoding is what a checkpoint holds.

    `joined`: whether there was a dump before those that wait. `waiting` is sorted by epoch and number.
    `older` holds the numbers of epochs that are over. `dictionaries` says from which epoch and number on each
    dictionary acts, the newest of them. `cut_to_ms` is where the last window of the device's log lines has
    ended, in time. One of late lines takes it back, as it does in the windows that are open: with a maximum
    the next window would begin elsewhere after a restart. `pace` is None where silences of logs are not told.
    """

    epoch: int | None = None
    joined: bool = False
    numbers: Numbering = msgspec.field(default_factory=Numbering)
    older: dict[int, Numbering] = {}
    waiting: list[Waiting] = []
    counts: dict[DumpPlace, int] = {}
    dictionaries: list[tuple[int, int, str]] = []
    cut_to_ms: int | None = None
    pace: DumpPace | None = None

    def receive(self, dump: DumpReceived) -> Moved:
        """Take a dump in; at most as many become ready as waited behind it."""
        moved, before = Moved(), dict(self.counts)
        if dump.holds_lines:
            self.cut_to_ms = dump.collected_to_ms
        if dump.outcome is DumpOutcome.CONFLICT:
            self._count(DumpPlace.CONFLICT)
        elif self._known(dump):
            self._count(DumpPlace.DUPLICATE)
        elif self._too_late(dump):
            self._numbers_of(dump.epoch).take(dump.sequence)
            self.joined |= dump.epoch == self.epoch
            self._place(dump, DumpPlace.AFTER_GAP, moved.after_gap)
        else:
            self._wait(dump)
            self._drain(moved)
        return self._counted(moved, before)

    def tick(self, now_ms: int) -> None:
        """Stamp what waits and was not found waiting before."""
        self.waiting = [
            msgspec.structs.replace(item, since_ms=now_ms) if item.since_ms is None else item
            for item in self.waiting
        ]

    def overdue(self, now_ms: int, wait_ms: int) -> tuple[int, int, int] | None:
        """What is to be given up as (epoch, first and last missing number), None if nothing is.

        All that is missing below a dump that was found waiting `wait_ms` ago, or the first gap when more
        than WAITING_MAX wait.
        """
        if not self.waiting or self.epoch is None:
            return None
        waited = [
            item.place
            for item in self.waiting
            if item.since_ms is not None and item.since_ms + wait_ms <= now_ms
        ]
        if not waited and len(self.waiting) <= WAITING_MAX:
            return None
        limit = waited[-1] if waited else self.waiting[0].place
        spans = [span for span in self.missing() if (self.epoch, span[1]) < limit]
        return self.epoch, spans[0][0], spans[-1][1]

    def waited_ms(self, now_ms: int) -> int:
        """How long a tick has known that something waits."""
        stamps = [item.since_ms for item in self.waiting if item.since_ms is not None]
        return max(0, now_ms - min(stamps, default=now_ms))

    def give_up(self, gap: GapGivenUp) -> Moved:
        """Stop waiting for what is still missing up to the end of the gap; nothing if it has been filled.

        `missing` is empty for a device whose first dump this sets free: nothing says that there were
        earlier ones, it may have joined late.
        """
        moved, before = Moved(), dict(self.counts)
        while self.waiting and self.epoch == gap.epoch and self.numbers.next <= gap.to_sequence:
            until = min(self.waiting[0].dump.sequence - 1, gap.to_sequence)
            missing = self.numbers.skip(until)
            if self.joined:
                moved.missing.append(missing)
            self._drain(moved)
        return self._counted(moved, before)

    def name_dictionaries(self, moved: Moved, in_force: Callable[[str], str]) -> None:
        """Write into the dumps that were set free which dictionary they are judged by.

        One that acts does so from the first ready dump on: a dump that was given up before is judged by what
        was in force in its place.
        """
        named = []
        for dump in moved.ready:
            found = in_force(dump.application)
            if found != self._dictionary_at((dump.epoch, dump.sequence)):
                self.dictionaries = [*self.dictionaries, (dump.epoch, dump.sequence, found)]
                self.dictionaries = self.dictionaries[-DICTIONARIES_MAX:]
            named.append(msgspec.structs.replace(dump, dictionary=found))
        moved.ready = named
        moved.after_gap = [
            msgspec.structs.replace(dump, dictionary=self._dictionary_at((dump.epoch, dump.sequence)))
            for dump in moved.after_gap
        ]

    def _dictionary_at(self, place: tuple[int, int]) -> str:
        acting = [found for epoch, sequence, found in self.dictionaries if (epoch, sequence) <= place]
        return acting[-1] if acting else ""

    def free_place(self) -> tuple[int, int]:
        """The epoch and number behind all that has come."""
        if self.waiting:
            epoch, sequence = self.waiting[-1].place
            return epoch, sequence + 1
        return self.epoch or 0, self.numbers.next

    def missing(self) -> Iterator[tuple[int, int]]:
        """The spans of numbers that the dumps of this epoch wait for, both ends within."""
        expected = self.numbers.next
        for item in self.waiting:
            if item.dump.epoch != self.epoch:
                return
            if item.dump.sequence > expected:
                yield expected, item.dump.sequence - 1
            expected = item.dump.sequence + 1

    def _counted(self, moved: Moved, before: dict[DumpPlace, int]) -> Moved:
        changed = {place: number - before.get(place, 0) for place, number in self.counts.items()}
        moved.counts = {place: number for place, number in changed.items() if number}
        return moved

    def _known(self, dump: DumpReceived) -> bool:
        place = (dump.epoch, dump.sequence)
        found = bisect.bisect_left(self.waiting, place, key=_place_of)
        if found < len(self.waiting) and self.waiting[found].place == place:
            return True
        return self._is_of_now_or_before(dump) and self._numbers_of(dump.epoch).has(dump.sequence)

    def _too_late(self, dump: DumpReceived) -> bool:
        if self.epoch is None or dump.epoch > self.epoch:
            return False
        return dump.epoch < self.epoch or dump.sequence < self.numbers.next

    def _is_of_now_or_before(self, dump: DumpReceived) -> bool:
        return self.epoch is not None and dump.epoch <= self.epoch

    def _numbers_of(self, epoch: int) -> Numbering:
        """Those of this epoch or an older one."""
        return self.numbers if epoch == self.epoch else self.older.setdefault(epoch, Numbering())

    def _wait(self, dump: DumpReceived) -> None:
        if self.epoch is None:
            self.epoch = dump.epoch
        if dump.outcome is DumpOutcome.QUARANTINED:
            self._count(DumpPlace.QUARANTINED)
        else:
            self._count(DumpPlace.WAITING)
        bisect.insort(self.waiting, Waiting(dump=dump), key=_place_of)

    def _drain(self, moved: Moved) -> None:
        """Set free what waits for nothing any more; a newer epoch begins when nothing waits in this one."""
        done = 0
        for item in self.waiting:
            epoch, sequence = item.place
            if epoch != self.epoch and self.epoch is not None:
                self.older[self.epoch], self.numbers, self.epoch = self.numbers, Numbering(), epoch
            if sequence != self.numbers.next:
                break
            self.numbers.take(sequence)
            self.joined = True
            done += 1
            if not item.quarantined:
                self._count(DumpPlace.WAITING, -1)
                self._place(item.dump, DumpPlace.READY, moved.ready)
        del self.waiting[:done]

    def _place(self, dump: DumpReceived, place: DumpPlace, among: list[DumpReceived]) -> None:
        if dump.outcome is DumpOutcome.QUARANTINED:
            self._count(DumpPlace.QUARANTINED)
            return
        self._count(place)
        among.append(dump)

    def _count(self, place: DumpPlace, number: int = 1) -> None:
        self.counts[place] = self.counts.get(place, 0) + number


def _place_of(item: Waiting) -> tuple[int, int]:
    return item.place
