"""Templates that were never seen: how rare that is on this device, by class of level.

New templates are a Poisson process whose rate is that of the last two stretches of hours, each twice as long
as the one before, since a device that has been known for long has few. How many lines a new template has
while it is young is geometric. A new template is abnormal if so many lines of one come less often than the
false alarms that are allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.log_detector.knowledge import Knowledge, Rarity, Row
from tocsin.log_detector.logarithm import ln_of
from tocsin.templates._header_kernel import ERROR, WARNING

SPAN_H_MAX: Final = 720.0
MONTH_H: Final = 720.0
SHARES: Final = (0.125, 0.25, 0.625)
"""Of the false alarms that new templates may cost, by class: the more serious, the more."""
NEW_AT_LEAST: Final = 0.5
LINES_AT_LEAST: Final = 1.5


def class_of(level: int) -> int:
    """0 below a warning or unknown, 1 a warning, 2 an error or worse."""
    return (level >= WARNING) + (level >= ERROR)


def score_of(known: Knowledge, row: Row, per_month: float) -> float:
    """How rare so many lines of a new template are, in parts of the limit."""
    kind = class_of(row.level)
    rarity = known.rarities[kind]
    new = rarity.new + rarity.new_before + NEW_AT_LEAST
    rate = new / max(rarity.hours + rarity.hours_before, 1.0)
    mean = (rarity.lines + rarity.lines_before + LINES_AT_LEAST) / (rarity.new + rarity.new_before + 1.0)
    again = ln_of(1.0 - 1.0 / max(mean, LINES_AT_LEAST))
    limit = ln_of(MONTH_H / (per_month * SHARES[kind]))
    return (-ln_of(rate) - (row.seen - 1) * again) / limit


def learn(
    known: Knowledge, born: Sequence[Row], young_lines: Sequence[tuple[Row, int]], hours: float
) -> None:
    """Count new templates, and the lines of those that nobody was told of."""
    for rarity in known.rarities:
        _grow(rarity, hours)
    for row in born:
        known.rarities[class_of(row.level)].new += 1.0
    for row, lines in young_lines:
        if not row.reported:
            known.rarities[class_of(row.level)].lines += lines


def _grow(rarity: Rarity, hours: float) -> None:
    rarity.hours += hours
    if rarity.hours >= rarity.span_h:
        rarity.hours_before, rarity.hours = rarity.hours, 0.0
        rarity.new_before, rarity.new = rarity.new, 0.0
        rarity.lines_before, rarity.lines = rarity.lines, 0.0
        rarity.span_h = min(max(2.0 * rarity.span_h, rarity.hours_before), SPAN_H_MAX)
