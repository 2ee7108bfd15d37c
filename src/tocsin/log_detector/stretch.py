"""The stretch of time that a dump's lines are of, without stamps of clocks that were wrong.

One line of another year would make a dump of an hour one of decades. So lines are counted by the hour of
their stamps, and hours that lie apart belong to the dump only if enough lines are in them for the jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.log_detector import _tally_kernel as kernel

HOURS_MAX: Final = 4_096
"""Of the stamps of a dump; what has others does not count for its span."""
JUMP_H: Final = 2
"""So many hours without a line are no jump."""
SHARE: Final = 0.01
"""Behind a jump lie at least so many of the lines that it would have had, at the pace before it."""
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class _Run:
    """Hours without a jump between them: the first, the last, the stamps at both ends, lines."""

    begin_h: int
    end_h: int
    first_ms: int
    newest_ms: int
    lines: int
    busy_h: int


def no_hours() -> Ints:
    """A table of hours in which nothing is counted yet."""
    return np.zeros((HOURS_MAX, kernel.HOUR_FIELDS), np.int64)


def joined(hours: Ints) -> tuple[int, int]:
    """The oldest and the newest stamp of the hours that belong to those with most lines; 0 without any."""
    runs = _runs(hours)
    if not runs:
        return 0, 0
    core = max(range(len(runs)), key=lambda place: runs[place].lines)
    whole = runs[core]
    for run in [*runs[core + 1 :], *reversed(runs[:core])]:
        jump_h = max(run.begin_h - whole.end_h, whole.begin_h - run.end_h) - 1
        if run.lines * whole.busy_h >= SHARE * whole.lines * jump_h:
            whole = _both(whole, run)
    return whole.first_ms, whole.newest_ms


def _runs(hours: Ints) -> list[_Run]:
    busy = hours[hours[:, kernel.HOUR_LINES] > 0]
    runs: list[_Run] = []
    for hour, lines, first_ms, newest_ms in busy[np.argsort(busy[:, kernel.HOUR])].tolist():
        run = _Run(hour, hour, first_ms, newest_ms, lines, 1)
        if runs and hour - runs[-1].end_h - 1 <= JUMP_H:
            run = _both(runs.pop(), run)
        runs.append(run)
    return runs


def _both(one: _Run, other: _Run) -> _Run:
    return _Run(
        min(one.begin_h, other.begin_h),
        max(one.end_h, other.end_h),
        min(one.first_ms, other.first_ms),
        max(one.newest_ms, other.newest_ms),
        one.lines + other.lines,
        one.busy_h + other.busy_h,
    )
