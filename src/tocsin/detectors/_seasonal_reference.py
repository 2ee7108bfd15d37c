"""`seasonal` in plain Python, one series, one reading at a time, as docs/explanation/seasonal.md defines it.

Written from that page and not from the kernel; the contract suite holds the two to the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.detectors._tail_reference import Tail
from tocsin.detectors.abstract import ReferenceScore, ReferenceSeries, Rows

NOT_READY: Final = ReferenceScore(math.nan, math.nan, math.nan, math.nan, 2, 0)
HUGE: Final = 1e120
TWO_ELEVENTHS: Final = 2.0 / 11.0


@dataclass(slots=True)
class Cell:
    """What is known of one hour of the week."""

    mean: float = 0.0
    deviation: float = 0.0
    visits: int = 0

    def visit(self, mean: float, within: float) -> None:
        """Fold in one hour: a plain mean over ten visits, then an exponential one."""
        self.visits = min(self.visits + 1, 250)
        gain = 1.0 / self.visits if self.visits <= 10 else TWO_ELEVENTHS
        step = mean - self.mean
        old = self.deviation * self.deviation + gain * (step * step)
        self.mean += gain * step
        variance = (1.0 - gain) * old + gain * within
        self.deviation = float(np.float32(min(math.sqrt(variance), 3e38)))


@dataclass(slots=True)
class Hour:
    """The local hour that readings fall into now: what it expects, and what it sees."""

    end_ms: int
    offset_ms: int
    pivot: float  # its first value; sums are taken from it, which loses no digits
    key: tuple[int, int]  # hour of day, weekday from Monday
    day_mean: float | None
    week_mean: float | None
    centre: float | None  # None = the series as a whole is asked
    spread: float
    values: list[float] = field(default_factory=list)


class SeasonalReference(ReferenceSeries):
    """The state is held as the definition names it, not as the kernel lays it out."""

    def __init__(self, settings: Rows) -> None:
        rule = settings[0]
        self.watch_ms, self.watch_readings = int(rule["watch_ms"]), int(rule["watch_readings"])
        self.hold_ms, self.pause = int(rule["hold_ms"]), bool(rule["pause"])
        self.ready_readings = int(rule["ready_readings"])
        self.warm_visits = int(rule["warm_visits"])
        self.memory, self.memory_gain = int(rule["memory"]), float(rule["memory_gain"])
        self.base_limit, self.level_gain = float(rule["limit"]), float(rule["level_gain"])
        self.stray_limit = float(rule["stray_limit"])
        self.cells = {(hour, day): Cell() for hour in range(24) for day in range(7)}
        self.hour: Hour | None = None
        self.seen = 0
        self.mean, self.variance = 0.0, 0.0
        self.last, self.quantum = 0.0, 0.0
        self.smooth, self.smooth_spread, self.scale = 0.0, 0.0, 0.0
        self.raw_tail, self.smooth_tail = Tail(), Tail()
        self.peak, self.pace, self.limit = 0.0, 0.0, 0.0
        self.day_level, self.week_level = 0.0, 0.0
        self.run_start_ms, self.last_abnormal_ms = 0, 0
        self.run, self.calm, self.watched = 0, 0, False
        self.held = (0.0, 0.0)
        self.usual_scale, self.hours, self.strayed = 0.0, 0, False
        self.unlearnt = False  # nothing was learnt from the newest reading

    def step(self, ts: int, value: float, local_offset_ms: int) -> ReferenceScore:
        x = min(max(value, -HUGE), HUGE)
        returns = self.unlearnt and not self.pause
        if returns:
            self.smooth = self.peak = 0.0
        if (
            self.hour is None
            or ts >= self.hour.end_ms
            or local_offset_ms != self.hour.offset_ms
            or (returns and not self.hour.values)
        ):
            self._change_hour(ts, x, local_offset_ms)
        centre, spread = self._expectation()
        residual = x - centre
        smooth = self._smoothed(residual, spread)
        unit = max(self.smooth_spread, 0.3 * spread)
        z, smooth_z = abs(residual) / spread, abs(smooth) / unit
        raw, averaged = self.raw_tail.rarity(z), self.smooth_tail.rarity(smooth_z)
        share = max(raw, averaged) / self.limit
        result = NOT_READY
        if self.seen >= self.ready_readings:
            result = self._judge(ts, centre, (spread, unit), (z, smooth_z), share, averaged > raw)
        strange = result.verdict == 1
        if self.strayed and result.verdict == 0:
            result = self._stray(centre)
        self._watch(ts, result.verdict, strange)
        self.smooth = smooth
        if self.seen >= 10:
            self.peak = max(share, self.peak * 0.98)
        self.unlearnt = self.pause
        if self.pause:
            return result
        self._learn_quantum(x)
        weight = 1.0 / self.run if strange else 1.0
        self._learn_strangeness(residual, spread, z, smooth, smooth_z, weight)
        if result.verdict != 1 or ts - self.run_start_ms >= self.hold_ms:
            self._learn_value(x)
        return result

    def move_limits(self, settings: Rows) -> None:
        rule = settings[0]
        self.limit += float(rule["limit"]) - self.base_limit
        self.base_limit, self.stray_limit = float(rule["limit"]), float(rule["stray_limit"])
        if self.watched:
            efolds = self.limit + 3.5
            self.held = self.raw_tail.reach(efolds), self.smooth_tail.reach(efolds)

    def pause_learning(self, settings: Rows) -> None:
        self.pause = bool(settings[0]["pause"])

    def relearn(self, settings: Rows) -> None:
        fresh = SeasonalReference(settings)
        fresh.run_start_ms, fresh.last_abnormal_ms = self.run_start_ms, self.last_abnormal_ms
        fresh.calm, fresh.watched = self.calm, self.watched
        fresh.held = math.inf, math.inf
        self.__dict__ = fresh.__dict__

    def _change_hour(self, ts: int, x: float, offset_ms: int) -> None:
        visited = self.hour is not None and bool(self.hour.values)
        if not self.pace and not visited:
            self.mean = self.last = x
        if self.hour is not None and visited:
            self._close_hour(self.hour)
        self.strayed = False
        if self.seen >= 100 and self.hour is not None and self.hour.centre is not None:
            self._weigh_scale(ts, learns=visited or not self.unlearnt)
        local_hours, into_ms = divmod(ts + offset_ms, 3_600_000)
        days, hour = divmod(local_hours, 24)
        key = hour, (days + 3) % 7
        siblings = [self.cells[hour, day] for day in range(7)]
        visits = sum(cell.visits for cell in siblings)
        total = 0.0
        for cell in siblings:
            total += cell.mean * cell.visits
        self.limit = self.base_limit + 0.5 * _doublings(self.pace or 60.0)
        own = self.cells[key]
        self.hour = Hour(
            end_ms=ts - into_ms + 3_600_000,
            offset_ms=offset_ms,
            pivot=x,
            key=key,
            day_mean=total / visits if visits else None,
            week_mean=own.mean if own.visits else None,
            centre=None,
            spread=0.0,
        )
        self._choose(self.hour, own, siblings, visits)

    def _choose(self, hour: Hour, own: Cell, siblings: list[Cell], visits: int) -> None:
        """Hour of week, else hour of day, else neither."""
        if own.visits >= self.warm_visits:
            hour.centre = own.mean + self.week_level
            hour.spread = max(own.deviation, self._floor())
        elif visits >= self.warm_visits and hour.day_mean is not None:
            variance = 0.0
            for cell in siblings:
                step = cell.mean - hour.day_mean
                variance += (step * step + cell.deviation * cell.deviation) * cell.visits
            hour.centre = hour.day_mean + self.day_level
            hour.spread = max(math.sqrt(variance / visits), self._floor())
            if not own.visits:
                self.limit += 8.0

    def _close_hour(self, hour: Hour) -> None:
        first, count = hour.pivot, float(len(hour.values))
        total, squares = 0.0, 0.0
        for value in hour.values:
            total += value - first
            squares += (value - first) * (value - first)
        offset = total / count
        mean = first + offset
        if hour.day_mean is not None:
            self.day_level += (mean - hour.day_mean - self.day_level) * self.level_gain
        if hour.week_mean is not None:
            self.week_level += (mean - hour.week_mean - self.week_level) * self.level_gain
        self.pace = max(count, self.pace + (count - self.pace) * 0.1)
        self.cells[hour.key].visit(mean, max(squares / count - offset * offset, 0.0))

    def _weigh_scale(self, ts: int, *, learns: bool) -> None:
        """Judge the scale by what it was at the ends of other hours, then learn it."""
        usual = self._usual_distance()
        self.strayed = self.hours >= 48 and self.scale > self.stray_limit * usual
        if not learns:
            return
        at_most = 2.0 * usual
        if self.hours < 24 or (self.watched and ts - self.run_start_ms >= self.hold_ms):
            at_most = math.inf
        self.hours = min(self.hours + 1, 100)
        self.usual_scale += (min(self.scale, at_most) - self.usual_scale) * (1.0 / self.hours)

    def _usual_distance(self) -> float:
        return max(self.usual_scale, 0.5 * self.quantum, 1e-150)

    def _stray(self, centre: float) -> ReferenceScore:
        """A reading in an hour that began with readings far from what was expected."""
        width = self.stray_limit * self._usual_distance()
        share = self.scale / width
        score = 1.0 + 0.1 * (share / (1.0 + share))
        return ReferenceScore(score, centre, centre - width, centre + width, 1, 5)

    def _floor(self) -> float:
        if self.quantum > 0.0:
            return max(0.5 * self.quantum, self.scale, 1e-150)
        return max(1e-2 * abs(self.mean), 1e-150)

    def _expectation(self) -> tuple[float, float]:
        if self.hour is None or self.hour.centre is None:
            return self.mean, max(math.sqrt(self.variance), self._floor())
        return self.hour.centre, self.hour.spread

    def _smoothed(self, residual: float, spread: float) -> float:
        most = self.raw_tail.reach(self.limit) * spread
        gain = 1.0 / (self.seen + 1) if self.seen < 10 else TWO_ELEVENTHS
        return self.smooth + (min(max(residual, -most), most) - self.smooth) * gain

    def _judge(
        self,
        ts: int,
        centre: float,
        units: tuple[float, float],
        strange: tuple[float, float],
        share: float,
        by_average: bool,
    ) -> ReferenceScore:
        sign = share > 1.0 and share > self.peak
        limits = self._limits(ts, self.limit if sign else self.limit + 3.5, held=not sign)
        beyond = strange[0] > limits[0] or strange[1] > limits[1]
        score = min(share, 1.0)
        if sign:
            score = share + 0.1
        elif beyond:
            score = 1.0 + 0.1 * (share / (1.0 + share))
        width = limits[1] * units[1] if by_average else limits[0] * units[0]
        reason = 0
        if sign or beyond:
            young = self.hour is None or self.hour.centre is None
            reason = (2 if by_average else 1) + (2 if young else 0)
        return ReferenceScore(score, centre, centre - width, centre + width, 1 if reason else 0, reason)

    def _limits(self, ts: int, efolds: float, *, held: bool) -> tuple[float, float]:
        now = self.raw_tail.reach(efolds), self.smooth_tail.reach(efolds)
        if held and self.watched and ts - self.run_start_ms < self.hold_ms:
            return min(now[0], self.held[0]), min(now[1], self.held[1])
        return now

    def _watch(self, ts: int, verdict: int, strange: bool) -> None:
        if verdict == 1:
            if not self.watched:
                efolds = self.limit + 3.5
                self.held = self.raw_tail.reach(efolds), self.smooth_tail.reach(efolds)
                self.run_start_ms, self.run = ts, 0
            self.watched, self.calm, self.last_abnormal_ms = True, 0, ts
            self.run += strange
        elif verdict == 0 and self.watched:
            self.calm = min(self.calm + 1, 255)
            late = ts - self.last_abnormal_ms >= self.watch_ms
            self.watched = not (late and self.calm >= self.watch_readings)

    def _learn_quantum(self, x: float) -> None:
        change = abs(x - self.last)
        if change > 0.0:
            self.quantum = min(self.quantum or change, change)
        self.last = x

    def _learn_strangeness(
        self,
        residual: float,
        spread: float,
        z: float,
        smooth: float,
        smooth_z: float,
        weight: float,
    ) -> None:
        gain = 1.0 / (self.seen + 1) if self.seen < 200 else 0.005
        self.smooth_spread += (min(abs(smooth), 3.0 * spread) - self.smooth_spread) * gain
        gain = 1.0 / (self.seen + 1) if self.seen < 100 else 0.01
        self.scale += (min(abs(residual), 3.0 * spread) - self.scale) * (weight * gain)
        if self.seen < 10:
            return
        self.raw_tail.learn(z, weight)
        self.smooth_tail.learn(smooth_z, weight)

    def _learn_value(self, x: float) -> None:
        self.seen += 1
        gain = 1.0 / self.seen if self.seen < self.memory else self.memory_gain
        step = x - self.mean
        self.mean += gain * step
        self.variance = (1.0 - gain) * (self.variance + gain * (step * step))
        if self.hour is not None:
            self.hour.values.append(x)


def _doublings(pace: float) -> float:
    """log2, linear between powers of two."""
    power = math.floor(math.log2(pace))
    return power + (pace / 2.0**power - 1.0)
