"""How often lines come: against what is usual at this hour of the week, summed up over dumps.

The lines of a row in an hour are a negative binomial count: its mean is the rate that the same hours of
other weeks (else of other days, else all hours) had, and its size is the number of lines that this was learnt
from, so that little knowledge makes wide limits. Evidence for twice and eight times as many, and for a fifth,
is summed up hour by hour as the logarithm of the likelihood ratio and never falls below 0 (Page, 1954); a
sum passes h by chance once in e^h hours at most (Lorden, 1971). Rows whose counts stray beyond chance have
their evidence divided by how much they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import (
    CELLS,
    DOWN,
    HELD_H,
    HELD_SEEN,
    HELD_USUAL,
    LEVEL,
    SPREAD,
    SPREAD_SLOTS,
    UP,
    UP_FAR,
    Floats,
    Knowledge,
)
from tocsin.log_detector.logarithm import exp_of, ln, ln_of

Flags = npt.NDArray[np.bool_]
TIMES: Final = (2.0, 8.0, 0.2)
"""How many times the usual lines the three sums look for: `UP`, `UP_FAR`, `DOWN`."""
PRIOR_LINES: Final = 0.5
KEPT_AN_HOUR: Final = 0.85
_LN_KEPT: Final = ln_of(KEPT_AN_HOUR)
LEVEL_LINES: Final = 10.0
LEVEL_MAX: Final = 1000.0
UNSEEN_WEIGHT: Final = 0.25
UNSEEN_LINES: Final = 3.0
UNSEEN_DOWN: Final = 0.02
"""An hour of the week that was never seen is judged by other days, which may err for a whole day: evidence
counts less, what is usual is known from so few lines at most, and few lines are nearly none."""
STRAY_MAX: Final = 16.0
STRAY_SLOTS: Final = 200.0
STRAY_FIRST: Final = 10.0


@dataclass(slots=True)
class Judged:
    """For each row: the usual lines of the dump, and how much evidence there is for other numbers of them.

    `base[s, r]` is what is usual before the level of late. `scores` are evidence in parts of the limit, at
    the hour in which it is greatest; `seen`, `usual` and `hours` are of the hours of the dump that led to it.
    """

    base: Floats
    scores: Floats
    above: Flags
    held: Flags
    seen: Floats
    usual: Floats
    hours: Floats


def judge(known: Knowledge, counted: Counted, limit: float, ready: Flags) -> Judged:
    """Sum up the dump's evidence in the marks of the rows that are ready; learns nothing else."""
    lines, hours = _decoded(known)
    level = known.marks[:, LEVEL]
    spread = np.maximum(known.marks[:, SPREAD], 1.0)
    base = np.zeros_like(counted.counts)
    runs = _Runs(len(level))
    for slot, cell in enumerate(counted.cells):
        base[slot] = _rate(lines, hours, cell) * counted.hours[slot]
    counted.share_out(base)
    for slot, cell in enumerate(counted.cells):
        usual = base[slot] * level
        weighed = _evidence(counted.counts[slot], usual, lines, hours, cell) * (ready / spread)
        sums = known.marks[:, UP : DOWN + 1].T
        runs.add(sums, weighed, limit, counted.counts[slot], usual, float(counted.hours[slot]))
    return runs.judged(base, limit)


class _Runs:
    """The sums of evidence on their way through the hours of a dump, and what led to the greatest of each."""

    def __init__(self, rows: int) -> None:
        self.most = np.zeros((len(TIMES), rows))
        self.running = np.zeros((3, len(TIMES), rows))
        self.best = np.zeros((3, len(TIMES), rows))

    def add(
        self, sums: Floats, evidence: Floats, limit: float, seen: Floats, usual: Floats, hours: float
    ) -> None:
        """Take in an hour; changes the sums. What was strange and is no more begins anew."""
        total = np.maximum(sums + evidence, 0.0)
        total[(evidence <= 0.0) & (sums > limit)] = 0.0
        sums[:] = np.minimum(total, 2.0 * limit)
        for place, more in enumerate((seen, usual, np.full_like(seen, hours))):
            self.running[place] = np.where(total > 0.0, self.running[place] + more, 0.0)
        greater = (evidence > 0.0) & (total > self.most)
        self.most[greater] = total[greater]
        self.best[:, greater] = self.running[:, greater]

    def judged(self, base: Floats, limit: float) -> Judged:
        """What comes of it, by the greatest of the sums of each row."""
        scores = self.most / limit
        which = scores.argmax(axis=0)
        rows = np.arange(len(which))
        seen, usual, hours = self.best[:, which, rows]
        most = scores[which, rows]
        return Judged(base, most, which < DOWN, most > 0.5, seen, usual, hours)


def _evidence(seen: Floats, usual: Floats, lines: Floats, hours: Floats, cell: int) -> Floats:
    """For each sum and row what an hour says."""
    visited = hours[:, cell] > 0.0
    others = np.minimum(lines[:, cell % 24 :: 24].sum(axis=1), UNSEEN_LINES)
    size = np.where(visited, lines[:, cell], others) + PRIOR_LINES
    up, far, down = TIMES
    found = [
        likelihood(seen, usual, size, up),
        likelihood(seen, usual, size, far),
        likelihood(seen, usual, size, np.where(visited, down, UNSEEN_DOWN)),
    ]
    return np.asarray(found) * np.where(visited, 1.0, UNSEEN_WEIGHT)


def likelihood(lines: Floats, usual: Floats, size: Floats, times: Floats | float) -> Floats:
    """How much more likely so many lines are if they come `times` as often, as a logarithm."""
    more = size + times * usual
    shared = ln((size + usual) / more)
    return np.asarray(lines * (ln(times) + shared) + size * shared, np.float64)


def learn(known: Knowledge, counted: Counted, judged: Judged, untold: Flags, hold_h: float) -> None:
    """Take in the dump. Rows held learn what is usual instead, until a run of that lasts `hold_h`.

    Rows that are not `untold`, new ones that people hear of, learn nothing.
    """
    lines, hours = _decoded(known)
    held = judged.held
    marks = known.marks
    held = held & ~_hold(marks, counted, judged, held, hold_h)
    level = marks[:, LEVEL]
    for slot, cell in enumerate(counted.cells):
        covered = float(counted.hours[slot])
        seen = np.where(held, judged.base[slot] * level, counted.counts[slot])
        _stray(marks, lines, hours, cell, seen, judged.base[slot] * level, held)
        kept = exp_of(_LN_KEPT * covered)
        lines[untold, cell] = (lines[:, cell] * kept + seen / level)[untold]
        hours[untold, cell] = hours[untold, cell] * kept + covered
    known.cells[:] = np.sqrt(np.minimum(lines, 4e9)).astype(np.float16)
    known.cell_hours[:] = hours.astype(np.float16)


def _decoded(known: Knowledge) -> tuple[Floats, Floats]:
    """Lines and hours of the cells."""
    roots = known.cells.astype(np.float64)
    return roots * roots, known.cell_hours.astype(np.float64)


def _rate(lines: Floats, hours: Floats, cell: int) -> Floats:
    """Usual lines an hour in this hour of the week."""
    rate = (lines.sum(axis=1) + PRIOR_LINES) / (hours.sum(axis=1) + 1.0)
    days = slice(cell % 24, CELLS, 24)
    rate = _shrunk(lines[:, days].sum(axis=1), hours[:, days].sum(axis=1), rate)
    return _shrunk(lines[:, cell], hours[:, cell], rate)


def _shrunk(lines: Floats, hours: Floats, rate: Floats) -> Floats:
    """The mean of a Gamma distribution around `rate` after these lines."""
    return np.asarray((lines + PRIOR_LINES) / (hours + PRIOR_LINES / rate), np.float64)


def _hold(marks: Floats, counted: Counted, judged: Judged, held: Flags, hold_h: float) -> Flags:
    """Count how long rows have been held; gives those held for so long that it is their new level."""
    total, usual = counted.counts.sum(axis=0), judged.base.sum(axis=0)
    hours = float(counted.hours.sum())
    for column, more in ((HELD_H, hours), (HELD_SEEN, total), (HELD_USUAL, usual)):
        marks[:, column] = np.where(held, marks[:, column] + more, 0.0)
    lasting: Flags = marks[:, HELD_H] > hold_h
    level = (marks[:, HELD_SEEN] + LEVEL_LINES) / (marks[:, HELD_USUAL] + LEVEL_LINES)
    marks[lasting, LEVEL] = np.clip(level, 1.0 / LEVEL_MAX, LEVEL_MAX)[lasting]
    for column in (UP, UP_FAR, DOWN, HELD_H, HELD_SEEN, HELD_USUAL):
        marks[lasting, column] = 0.0
    return lasting


def _stray(
    marks: Floats, lines: Floats, hours: Floats, cell: int, seen: Floats, usual: Floats, held: Flags
) -> None:
    """Learn how far counts stray beyond what chance explains."""
    size = lines[:, cell] + PRIOR_LINES
    off = np.minimum((seen - usual) ** 2 / (usual + usual * usual / size + 1e-9), STRAY_MAX)
    counts = ~held & (hours[:, cell] > 0.0)
    number = np.minimum(marks[:, SPREAD_SLOTS] + 1.0, STRAY_SLOTS)
    gain = np.where(counts, 1.0 / (number + STRAY_FIRST), 0.0)
    marks[:, SPREAD] += gain * (off - marks[:, SPREAD])
    marks[:, SPREAD_SLOTS] = np.where(counts, number, marks[:, SPREAD_SLOTS])
