"""What happened to an anomaly, short enough for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import msgspec

from tocsin.inbox.abstract import Change

_GOES_ON: Final = frozenset({"updated", "extended", "recurred"})
"""What the processor says of an anomaly that goes on: with a finding in each dump, over and over."""


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """A change, or the last of `times` that the processor made one after another since `since_ms`."""

    change: Change
    times: int = 1
    since_ms: int


def told(history: Iterable[Change]) -> list[Happened]:
    """Newest first, `history` being oldest first: what goes on and on is told once, as it is now."""
    runs = groupby(history, lambda change: change.action is None and change.kind in _GOES_ON)
    found = [happened for goes_on, run in runs for happened in _of_run(list(run), goes_on=goes_on)]
    return found[::-1]


def _of_run(changes: Sequence[Change], *, goes_on: bool) -> list[Happened]:
    pieces = [changes] if goes_on else [[change] for change in changes]
    return [Happened(change=some[-1], times=len(some), since_ms=some[0].at_ms) for some in pieces]
