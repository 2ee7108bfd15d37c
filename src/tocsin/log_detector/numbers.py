"""The numbers in lines: the mean of each in a dump against the level that it keeps.

A number varies within a dump and from dump to dump; both variances are learnt. How many deviations a mean is
off is judged by the tail of its own past, as `seasonal` does: a knee that one of 50 exceeds, and an
exponential tail behind it. Counters, which nearly always rise, and words that are seldom numbers are
left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from tocsin.dump_detectors.abstract import Finding
from tocsin.log_detector import _tally_kernel as kernel
from tocsin.log_detector.component_tally import merged
from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import Floats, Knowledge, Number, Row
from tocsin.log_detector.logarithm import ln_of
from tocsin.log_detector.wording import Facts, finding, quoted

NUMBERS_MAX: Final = 1_024
READY_DUMPS: Final = 24
REMEMBERED_DUMPS: Final = 50
MONTH_H: Final = 720.0
NUMERIC: Final = 0.9
STEADY: Final = (0.2, 0.8)
RISING_GAIN: Final = 0.05
KNEE_EFOLDS: Final = 3.912023005428146
KNEE_GAIN: Final = 0.05
ABOVE_KNEE: Final = 0.02
EXCESS_GAIN: Final = 0.125
Values = Mapping[tuple[int, int], Floats]


def values_of(table: Counted) -> dict[tuple[int, int], Floats]:
    """What a dump says of each number, by row and place of the word in the line."""
    found: dict[tuple[int, int], Floats] = {}
    lines: dict[int, int] = {}
    for uid, shapes in table.seen.items():
        for shape in shapes:
            lines[uid] = lines.get(uid, 0) + shape.total
            for place, kept in shape.numbers.items():
                key = uid, place
                found[key] = merged(found[key], kept) if key in found else kept
    return {key: kept for key, kept in found.items() if kept[kernel.COUNT] >= NUMERIC * lines[key[0]]}


def shifted(
    known: Knowledge, table: Counted, values: Values, allowed: float, hold_h: float
) -> Iterator[Finding]:
    """A finding for each component with a number that is off, the strangest; then all are learnt."""
    rows = {row.uid: row for row in known.rows}
    dumps_a_month = MONTH_H * max(known.dumps, 1) / max(known.hours, 1.0)
    limit = ln_of(max(len(known.numbers) * dumps_a_month / allowed, 3.0))
    worst: dict[str, tuple[float, Number, Floats]] = {}
    hours = float(table.hours.sum())
    for key in sorted(values):
        number = known.numbers.setdefault(key, Number(uid=key[0], place=key[1]))
        number.last_h = known.hours
        kept = values[key]
        score = _score(number, kept) / limit
        component = rows[number.uid].component
        if score > 1.0 and score > worst.get(component, (0.0, number, kept))[0]:
            worst[component] = score, _copy(number), kept
        _learn(number, kept, score, hours, hold_h)
    _forget(known)
    for component, (score, number, kept) in sorted(worst.items()):
        yield _told(table, component, rows[number.uid], number, kept, score)


def _copy(number: Number) -> Number:
    return Number(
        uid=number.uid, place=number.place, level=number.level, within=number.within, between=number.between
    )


def _mean(kept: Floats) -> float:
    return float(kept[kernel.PIVOT] + kept[kernel.SUM] / kept[kernel.COUNT])


def _variance(kept: Floats) -> float:
    count = float(kept[kernel.COUNT])
    off = float(kept[kernel.SUM]) / count
    return max(float(kept[kernel.SQUARES]) / count - off * off, 0.0)


def _deviations(number: Number, kept: Floats) -> float:
    variance = number.between + number.within / float(kept[kernel.COUNT])
    if variance <= 0.0:  # what never varied is a name, not a measurement
        return 0.0
    return abs(_mean(kept) - number.level) / math.sqrt(variance)


def _score(number: Number, kept: Floats) -> float:
    """How rare, in e-folds; 0 while it can't be told."""
    if number.dumps < READY_DUMPS or not STEADY[0] <= number.rising <= STEADY[1]:
        return 0.0
    off = _deviations(number, kept)
    if off <= number.knee:
        return KNEE_EFOLDS * off / number.knee
    return KNEE_EFOLDS + (off - number.knee) / number.excess


def _learn(number: Number, kept: Floats, score: float, hours: float, hold_h: float) -> None:
    """Take in a dump; what is strange only once it has lasted, and then as the new level."""
    number.held_h = number.held_h + hours if score > 0.5 else 0.0
    if 0.0 < number.held_h <= hold_h:
        return
    mean = _mean(kept)
    if number.held_h > hold_h:
        number.level, number.held_h, number.dumps = mean, 0.0, READY_DUMPS // 2
    _learn_rising(number, kept, mean)
    if number.dumps >= READY_DUMPS // 2:
        _learn_tail(number, _deviations(number, kept))
    number.dumps += 1
    gain = 1.0 / min(number.dumps, REMEMBERED_DUMPS)
    count = float(kept[kernel.COUNT])
    if count > 1.0:
        variance = _variance(kept) * count / (count - 1.0)
        number.within += (variance - number.within) * (gain if number.within else 1.0)
    off = mean - number.level
    between = max(off * off - number.within / count, 0.0)
    number.between += (between - number.between) * gain if number.dumps > 1 else 0.0
    number.level += off * gain


def _learn_rising(number: Number, kept: Floats, mean: float) -> None:
    ups, downs = float(kept[kernel.UPS]), float(kept[kernel.DOWNS])
    if number.dumps:
        ups, downs = ups + (mean > number.level), downs + (mean < number.level)
    if ups + downs > 0.0:
        gain = max(RISING_GAIN, 1.0 / (number.dumps + 1))
        number.rising += (ups / (ups + downs) - number.rising) * gain


def _learn_tail(number: Number, off: float) -> None:
    if off <= number.knee:
        number.knee = max(number.knee - number.knee * (KNEE_GAIN * ABOVE_KNEE), 0.25)
        return
    over = min(off - number.knee, 100.0 * number.excess)
    learnt = number.excess + (over - number.excess) * EXCESS_GAIN
    number.excess = min(max(learnt, 0.1 * number.knee), 30.0)
    number.knee = min(number.knee + number.knee * (KNEE_GAIN * (1.0 - ABOVE_KNEE)), 8.0)


def _forget(known: Knowledge) -> None:
    if len(known.numbers) > NUMBERS_MAX:
        kept = sorted(known.numbers.items(), key=lambda item: (-item[1].last_h, item[0]))[:NUMBERS_MAX]
        known.numbers = dict(kept)


def _told(table: Counted, component: str, row: Row, number: Number, kept: Floats, score: float) -> Finding:
    mean, count = _mean(kept), int(kept[kernel.COUNT])
    deviation = math.sqrt(max(number.between, 0.0) + number.within)
    reason = (
        f"the number in word {number.place + 1} of {quoted(row.text)} is {mean:.6g} on average of {count} "
        f"lines, where {number.level:.6g} is usual, give or take {deviation:.3g}"
    )
    facts: Facts = {
        "mean": mean, "usual": number.level, "deviation": deviation, "count": count, "word": number.place + 1,
        "template": row.text, "template_id": row.id, "before": row.example,
    }  # fmt: skip
    key = f"{row.id}.{number.place + 1}"
    return finding(
        table, component, "number_shifted", score, reason, key=key, facts=facts, lines=table.lines(row.uid)
    )
