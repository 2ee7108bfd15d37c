"""`seasonal`, one series, one reading at a time: docs/explanation/seasonal.md."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from proof.model.feedback import Heard
from proof.model.records import Settings
from proof.model.tail import Tail
from proof.model.verdicts import ABNORMAL, NORMAL, Score
from proof.model.watch import Watch

HOUR_MS = 3_600_000
HUGE = 1e120
TINY = 1e-150
STRAYED = "strayed"
DEFAULTS = {
    "limit": 6.4,
    "ready_readings": 20.0,
    "warm_visits": 3.0,
    "memory": 1000.0,
    "level_gain": 0.02,
    "stray_limit": 4.0,
    "hold_s": 86_400.0,
}


@dataclass(slots=True)
class Cell:
    """One hour of the week."""

    mean: float = 0.0
    deviation: float = 0.0
    visits: int = 0

    def learn(self, mean: float, within: float) -> None:
        """One more visit, with its mean and its variance."""
        self.visits = min(self.visits + 1, 250)
        gain = 1.0 / self.visits if self.visits <= 10 else 2.0 / 11.0
        away = mean - self.mean
        moved = self.deviation * self.deviation + gain * (away * away)
        self.deviation = _float32(min(math.sqrt((1.0 - gain) * moved + gain * within), 3e38))
        self.mean += gain * away


@dataclass(slots=True)
class Visit:
    """The readings of the hour that goes on, as sums of their distances from the first one."""

    end_ms: int
    offset_ms: int
    cell: tuple[int, int]  # (hour of day, day of week from Monday)
    first: float
    day_mean: float | None
    week_mean: float | None
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, x: float) -> None:
        """One reading."""
        away = x - self.first
        self.count += 1
        self.total += away
        self.squares += away * away

    def moments(self) -> tuple[float, float]:
        """Mean and variance."""
        mean = self.total / self.count
        return self.first + mean, max(self.squares / self.count - mean * mean, 0.0)


@dataclass(slots=True)
class Judgement:
    """One reading by raw and by smoothed value."""

    residual: float
    spread: float
    smooth: float
    unit: float
    z: float
    smooth_z: float
    raw: float
    averaged: float
    share: float


@dataclass(slots=True)
class Seasonal:
    """What is learnt of one series."""

    cells: dict[tuple[int, int], Cell] = field(default_factory=dict)
    visit: Visit | None = None
    centre: float | None = None  # what the cells expect in this hour; None: ask the series as a whole
    spread: float = 0.0
    limit: float = 0.0
    pace: float = 0.0
    learnt: int = 0
    mean: float = 0.0
    variance: float = 0.0
    last: float = 0.0
    quantum: float = 0.0
    scale: float = 0.0
    smooth: float = 0.0
    smooth_spread: float = 0.0
    day_level: float = 0.0
    week_level: float = 0.0
    peak: float = 0.0
    tail: Tail = field(default_factory=Tail)
    smooth_tail: Tail = field(default_factory=Tail)
    watch: Watch = field(default_factory=Watch)
    held: tuple[float, float] = (0.0, 0.0)
    run: int = 0
    usual_scale: float = 0.0
    hours: int = 0
    strayed: bool = False
    skipped: bool = False  # nothing was learnt from the reading before
    factor: float = 1.0

    def step(
        self, rules: Settings, parameter: str, ts: int, value: float, offset_ms: int, heard: Heard
    ) -> Score:
        """Judge a reading as people want it, then learn from it."""
        del parameter  # the same for all
        rule, factor = DEFAULTS | rules.detectors["seasonal"], heard.factor
        self._move_limit(rule["limit"], factor)
        rule["hold_s"] = heard.hold_s(rule["hold_s"])
        rule |= {"limit": rule["limit"] * factor, "stray_limit": rule["stray_limit"] * factor}
        x = min(max(value, -HUGE), HUGE)
        back = self.skipped and heard.learns
        if back:
            self.smooth = self.peak = 0.0
        visit = self.visit
        over = visit is None or ts >= visit.end_ms or offset_ms != visit.offset_ms
        if over or (back and visit is not None and not visit.count):
            self._enter_hour(rule, ts, x, offset_ms)
        centre, spread = self._expected()
        found = self._strangeness(x - centre, spread)
        score = Score()
        if self.learnt >= int(rule["ready_readings"]):
            score = self._judge(rule, ts, centre, found)
        if score.verdict == ABNORMAL:
            if not self.watch.on:
                efolds = self.limit + 3.5
                self.held = (self.tail.limit(efolds), self.smooth_tail.limit(efolds))
                self.run = 0
            self.run += score.reason != STRAYED
        self.watch.follow(rules, ts, score.verdict)
        self.smooth = found.smooth
        if self.learnt >= 10:
            self.peak = max(found.share, self.peak * 0.98)
        self.skipped = not heard.learns
        if heard.learns:
            self._learn(rule, ts, x, found, score)
        return score

    def anew(self, factor: float) -> Seasonal:
        """Nothing learnt; a run that goes on is still watched, but held to no limit of before."""
        return Seasonal(watch=self.watch, held=(math.inf, math.inf), factor=factor)

    def _move_limit(self, limit: float, factor: float) -> None:
        """Feedback acts at once: on the hour that goes on, and on the limits that a run is held to."""
        if factor != self.factor:
            self.limit += limit * factor - limit * self.factor
            self.factor = factor
            if self.watch.on:
                self.held = (self.tail.limit(self.limit + 3.5), self.smooth_tail.limit(self.limit + 3.5))

    def _expected(self) -> tuple[float, float]:
        if self.centre is not None:
            return self.centre, self.spread
        return self.mean, max(math.sqrt(self.variance), self._least_spread())

    def _least_spread(self) -> float:
        if self.quantum > 0.0:
            return max(0.5 * self.quantum, self.scale, TINY)
        return max(0.01 * abs(self.mean), TINY)

    def _enter_hour(self, rule: dict[str, float], ts: int, x: float, offset_ms: int) -> None:
        counted = self.visit.count if self.visit is not None else 0
        if self.pace == 0.0 and not counted:
            self.mean = self.last = x
        if self.visit is not None and counted:
            self._leave_hour(rule, self.visit)
        self.strayed = False
        if self.centre is not None and self.learnt >= 100:
            self._judge_scale(rule)
            if counted or not self.skipped:
                self._learn_scale(rule, ts)
        local_ms = ts + offset_ms
        hours = local_ms // HOUR_MS
        at = (hours % 24, (hours // 24 + 3) % 7)
        day = [self.cells.setdefault((at[0], weekday), Cell()) for weekday in range(7)]
        own = self.cells[at]
        visits = sum(cell.visits for cell in day)
        total = 0.0
        for cell in day:
            total += cell.mean * cell.visits
        day_mean = total / visits if visits else None
        end_ms = ts - local_ms % HOUR_MS + HOUR_MS
        self.visit = Visit(end_ms, offset_ms, at, x, day_mean, own.mean if own.visits else None)
        self.limit = rule["limit"] + 0.5 * _doublings(self.pace or 60.0)
        self.centre = None
        if own.visits >= int(rule["warm_visits"]):
            self.centre = own.mean + self.week_level
            self.spread = max(own.deviation, self._least_spread())
        elif visits >= int(rule["warm_visits"]) and day_mean is not None:
            self.centre = day_mean + self.day_level
            self.spread = max(_pooled_deviation(day, day_mean, visits), self._least_spread())
            if not own.visits:
                self.limit += 8.0

    def _leave_hour(self, rule: dict[str, float], visit: Visit) -> None:
        mean, within = visit.moments()
        if visit.day_mean is not None:
            self.day_level += (mean - visit.day_mean - self.day_level) * rule["level_gain"]
        if visit.week_mean is not None:
            self.week_level += (mean - visit.week_mean - self.week_level) * rule["level_gain"]
        self.pace = max(float(visit.count), self.pace + (visit.count - self.pace) * 0.1)
        self.cells[visit.cell].learn(mean, within)

    def _judge_scale(self, rule: dict[str, float]) -> None:
        """Compare the scale with what it usually is at the end of an hour."""
        self.strayed = self.hours >= 48 and self.scale > rule["stray_limit"] * self._usual_distance()

    def _learn_scale(self, rule: dict[str, float], ts: int) -> None:
        """What the scale is at the end of this hour becomes a little more usual."""
        usual, distance = self._usual_distance(), self.scale
        lasting = self.watch.on and ts - self.watch.since_ms >= _ms(rule["hold_s"])
        if self.hours >= 24 and not lasting:
            distance = min(distance, 2.0 * usual)
        self.usual_scale += (distance - self.usual_scale) * (1.0 / min(self.hours + 1, 100))
        self.hours = min(self.hours + 1, 100)

    def _usual_distance(self) -> float:
        return max(self.usual_scale, 0.5 * self.quantum, TINY)

    def _strangeness(self, residual: float, spread: float) -> Judgement:
        most = self.tail.limit(self.limit) * spread
        gain = 1.0 / (self.learnt + 1) if self.learnt < 10 else 2.0 / 11.0
        smooth = self.smooth + (min(max(residual, -most), most) - self.smooth) * gain
        unit = max(self.smooth_spread, 0.3 * spread)
        z, smooth_z = abs(residual) / spread, abs(smooth) / unit
        raw, averaged = self.tail.rarity(z), self.smooth_tail.rarity(smooth_z)
        share = max(raw, averaged) / self.limit
        return Judgement(residual, spread, smooth, unit, z, smooth_z, raw, averaged, share)

    def _judge(self, rule: dict[str, float], ts: int, centre: float, found: Judgement) -> Score:
        share = found.share
        sign = share > 1.0 and share > self.peak
        efolds = self.limit if sign else self.limit + 3.5
        z_limit, smooth_limit = self.tail.limit(efolds), self.smooth_tail.limit(efolds)
        if not sign and self.watch.on and ts - self.watch.since_ms < _ms(rule["hold_s"]):
            z_limit, smooth_limit = min(z_limit, self.held[0]), min(smooth_limit, self.held[1])
        lasts = found.z > z_limit or found.smooth_z > smooth_limit
        by_average = found.averaged > found.raw
        width = smooth_limit * found.unit if by_average else z_limit * found.spread
        reason = ("smoothed" if by_average else "raw") + ("_young" if self.centre is None else "")
        if sign or lasts:
            return _abnormal(share + 0.1 if sign else _lasting(share), centre, width, reason)
        if self.strayed:
            width = rule["stray_limit"] * self._usual_distance()
            return _abnormal(_lasting(self.scale / width), centre, width, STRAYED)
        return Score(min(share, 1.0), centre, centre - width, centre + width, NORMAL)

    def _learn(self, rule: dict[str, float], ts: int, x: float, found: Judgement, score: Score) -> None:
        change = abs(x - self.last)
        if change > 0.0:
            self.quantum = min(self.quantum, change) if self.quantum > 0.0 else change
        self.last = x
        strange = score.verdict == ABNORMAL and score.reason != STRAYED
        self._learn_strangeness(found, 1.0 / self.run if strange else 1.0)
        if score.verdict != ABNORMAL or ts - self.watch.since_ms >= _ms(rule["hold_s"]):
            self._learn_value(rule, x)

    def _learn_strangeness(self, found: Judgement, weight: float) -> None:
        most = 3.0 * found.spread
        gain = 1.0 / (self.learnt + 1) if self.learnt < 200 else 0.005
        self.smooth_spread += (min(abs(found.smooth), most) - self.smooth_spread) * gain
        gain = 1.0 / (self.learnt + 1) if self.learnt < 100 else 0.01
        self.scale += (min(abs(found.residual), most) - self.scale) * (weight * gain)
        if self.learnt >= 10:
            self.tail.learn(found.z, weight)
            self.smooth_tail.learn(found.smooth_z, weight)

    def _learn_value(self, rule: dict[str, float], x: float) -> None:
        self.learnt += 1
        gain = 1.0 / self.learnt if self.learnt < int(rule["memory"]) else 1.0 / rule["memory"]
        away = x - self.mean
        self.mean += gain * away
        self.variance = (1.0 - gain) * (self.variance + gain * (away * away))
        if self.visit is not None:
            self.visit.add(x)


def _abnormal(score: float, centre: float, width: float, reason: str) -> Score:
    return Score(score, centre, centre - width, centre + width, ABNORMAL, reason)


def _lasting(share: float) -> float:
    """Just above 1: it brings nothing new."""
    return 1.0 + 0.1 * (share / (1.0 + share))


def _pooled_deviation(day: list[Cell], mean: float, visits: int) -> float:
    """Of one hour of all seven days."""
    total = 0.0
    for cell in day:
        away = cell.mean - mean
        total += (away * away + cell.deviation * cell.deviation) * cell.visits
    return math.sqrt(total / visits)


def _doublings(pace: float) -> float:
    """The logarithm of base 2, linear between powers of 2."""
    whole = 0.0
    while pace >= 2.0:
        pace /= 2.0
        whole += 1.0
    return whole + (pace - 1.0)


def _float32(number: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
