"""Which numbers of an epoch were dealt with: all below the next one, without the spans given up."""

from __future__ import annotations

import bisect

import msgspec


class Numbering(msgspec.Struct, kw_only=True):
    """Numbers from 1. `gaps` are spans below `next` that did not come, sorted, both ends within."""

    next: int = 1
    gaps: list[tuple[int, int]] = []

    def has(self, sequence: int) -> bool:
        """Whether this number was dealt with."""
        return sequence < self.next and self._gap_of(sequence) is None

    def skip(self, until: int) -> tuple[int, int]:
        """Go on behind `until` without what is missing up to it; the span given up."""
        span = (self.next, until)
        self.gaps.append(span)
        self.next = until + 1
        return span

    def take(self, sequence: int) -> None:
        """Deal with a number: the next one, one of a gap, or one further on, which makes a gap."""
        if sequence >= self.next:
            if sequence > self.next:
                self.skip(sequence - 1)
            self.next = sequence + 1
            return
        number = self._gap_of(sequence)
        if number is None:
            raise ValueError(f"number {sequence} was dealt with before")
        first, last = self.gaps[number]
        parts = ((first, sequence - 1), (sequence + 1, last))
        self.gaps[number : number + 1] = [part for part in parts if part[0] <= part[1]]

    def _gap_of(self, sequence: int) -> int | None:
        """Which gap holds it."""
        number = bisect.bisect_right(self.gaps, sequence, key=lambda gap: gap[0]) - 1
        return number if number >= 0 and sequence <= self.gaps[number][1] else None
