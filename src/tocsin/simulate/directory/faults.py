"""What can go wrong with a directory, and by which lot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError


class DirectoryFault(StrEnum):
    """One way to answer badly, or not at all."""

    SLOW = "slow"
    TRICKLE = "trickle"
    TIMEOUT = "timeout"
    CUT = "cut"
    ERROR = "error"
    BUSY = "busy"
    REFUSED = "refused"
    REDIRECT = "redirect"
    BROKEN = "broken"
    TRUNCATED = "truncated"
    REPEATED = "repeated"
    SHORT = "short"
    STOLEN = "stolen"
    PAGE = "page"
    NO_GUID = "no_guid"
    MISSING = "missing"
    HUGE = "huge"


LIES: Final = frozenset({DirectoryFault.SHORT, DirectoryFault.STOLEN, DirectoryFault.MISSING})
"""Answers that look right and are not: nobody can tell them from true ones by themselves."""


def parse_faults(text: str) -> tuple[DirectoryFault, ...]:
    """Faults by name, with commas; `all`, or nothing.

    >>> parse_faults("slow, error")
    (<DirectoryFault.SLOW: 'slow'>, <DirectoryFault.ERROR: 'error'>)
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(DirectoryFault)
    known = {fault.value: fault for fault in DirectoryFault}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInputError(f"{unknown[0]!r} is unknown; known are {', '.join(known)}", field="faults")
    return tuple(known[name] for name in names)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """How often which faults come, how long answers take, and when there are none (ms, from and to)."""

    faults: tuple[DirectoryFault, ...] = ()
    share: float = 0.1
    delay_s: float = 0.05
    slow_s: float = 3.0
    timeout_s: float = 60.0
    down: tuple[tuple[int, int], ...] = ()

    def draw(self, rng: random.Random, now_ms: int) -> DirectoryFault | None:
        """What goes wrong with one request, if anything does."""
        if any(from_ms <= now_ms < to_ms for from_ms, to_ms in self.down):
            return rng.choice((DirectoryFault.CUT, DirectoryFault.ERROR, DirectoryFault.TIMEOUT))
        if self.faults and rng.random() < self.share:
            return rng.choice(self.faults)
        return None


def always(*faults: DirectoryFault) -> Trouble:
    """Every answer has one of these faults."""
    return Trouble(faults=faults, share=1.0)


def outages(periods: Sequence[tuple[int, int]]) -> Trouble:
    """No answer in these periods (ms, from and to)."""
    return Trouble(down=tuple(periods))
