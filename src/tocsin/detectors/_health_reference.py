"""`health` in plain Python, one series, one reading at a time; the kernel must give the same bits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from tocsin.detectors.abstract import ReferenceScore, ReferenceSeries, Rows

HUGE: Final = 1e120
DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class Day:
    """A local day and its values; sums are taken from the first one, which loses no digits."""

    end_ms: int
    values: list[float] = field(default_factory=list)

    def moments(self) -> tuple[float, float]:
        """Mean and deviation."""
        first, count = self.values[0], float(len(self.values))
        total, squares = 0.0, 0.0
        for value in self.values:
            total += value - first
            squares += (value - first) * (value - first)
        offset = total / count
        return first + offset, math.sqrt(max(squares / count - offset * offset, 0.0))


@dataclass(slots=True)
class Level:
    """Where daily means lie, how far they stray from it, and what yesterday's one made of that."""

    mean: float = 0.0
    spread: float = 0.0
    noise: float = 0.0
    days: int = 0
    shift: float = 0.0
    centre: float = 0.0
    reach: float = 0.0

    def close(self, mean: float, noise: float, limit: float, ready_days: float) -> None:
        """Judge a day by those before it, then follow it, at most three spreads far."""
        self.days += 1
        gain = max(1.0 / self.days, 2.0 / 11.0)
        self.noise += (noise - self.noise) * gain
        if self.days == 1:
            self.mean = mean
            return
        spread = max(self.spread, 0.1 * self.noise, 1e-150)
        distance = abs(mean - self.mean)
        if self.days > ready_days:
            self.centre, self.reach = self.mean, limit * spread
            self.shift = min(distance / self.reach, 1e6)
            distance = min(distance, 3.0 * spread)
        self.mean += gain * (distance if mean > self.mean else -distance)
        self.spread += (distance - self.spread) * max(1.0 / (self.days - 1), 2.0 / 11.0)


class HealthReference(ReferenceSeries):
    """Follows runs of one value, days and the range; see docs/explanation/health.md."""

    def __init__(self, settings: Rows) -> None:
        self.rule = {name: settings[name][0].item() for name in settings.dtype.names or ()}
        self.day: Day | None = None
        self.first_ms, self.run_start_ms = 0, 0
        self.last, self.run, self.changes = 0.0, 0, 0
        self.longest, self.longest_ms = 0.0, 0.0
        self.most = 0.0
        self.level = Level()
        self.last_abnormal_ms, self.calm, self.watched = 0, 0, False
        self.unlearnt = False  # the run has readings from which nothing was learnt

    def move_limits(self, settings: Rows) -> None:
        self.rule = {name: settings[name][0].item() for name in settings.dtype.names or ()}

    def pause_learning(self, settings: Rows) -> None:
        self.rule["pause"] = settings["pause"][0].item()

    def relearn(self, settings: Rows) -> None:
        fresh = HealthReference(settings)
        fresh.last_abnormal_ms, fresh.calm, fresh.watched = self.last_abnormal_ms, self.calm, self.watched
        self.__dict__ = fresh.__dict__

    def step(self, ts: int, value: float, local_offset_ms: int) -> ReferenceScore:
        x = min(max(value, -HUGE), HUGE)
        pause = bool(self.rule["pause"])
        returns = self.unlearnt and not pause
        if self.day is None or ts >= self.day.end_ms or (returns and not self.day.values):
            self._begin_day(ts, x, local_offset_ms)
        if x != self.last:
            self._end_run(ts, x, learns=not (pause or self.unlearnt))
        result = self._judge(ts, value)
        self._watch(ts, result.verdict)
        self.run += 1
        self.unlearnt = self.unlearnt or pause
        if self.day is not None and not pause:
            self.day.values.append(x)
        return result

    def _begin_day(self, ts: int, x: float, local_offset_ms: int) -> None:
        learnt = self.day is not None and bool(self.day.values)
        if self.day is not None and learnt:
            self._close_day(self.day)
        elif self.day is not None and ts >= self.day.end_ms:
            self.level.shift = 0.0
        if not learnt and not self.most:
            self.first_ms = self.run_start_ms = ts
            self.last, self.run, self.unlearnt = x, 0, False
        self.day = Day(ts - (ts + local_offset_ms) % DAY_MS + DAY_MS)

    def _close_day(self, day: Day) -> None:
        self.longest *= 0.98
        self.longest_ms *= 0.98
        self.level.shift = 0.0
        count = float(len(day.values))
        whole = 2.0 * count >= self.most
        self.most = max(count, self.most * 0.98)
        if whole:
            self.level.close(*day.moments(), self.rule["shift_limit"], self.rule["shift_days"])

    def _end_run(self, ts: int, x: float, *, learns: bool) -> None:
        if learns:
            self.longest = max(self.longest, float(self.run))
            self.longest_ms = max(self.longest_ms, float(ts - self.run_start_ms))
            self.changes += 1
        self.run, self.run_start_ms, self.last, self.unlearnt = 0, ts, x, False

    def _judge(self, ts: int, value: float) -> ReferenceScore:
        share, reason = self._share(ts, value)
        if math.isnan(share):
            return ReferenceScore(share, math.nan, math.nan, math.nan, 2, 0)
        band = (math.nan, math.nan, math.nan)
        if reason == 2:
            band = (math.nan, self.rule["lower"], self.rule["upper"])
        elif reason == 3:
            centre, reach = self.level.centre, self.level.reach
            band = (centre, centre - reach, centre + reach)
        abnormal = share > 1.0
        score = 1.0 + 0.1 * (share / (1.0 + share)) if abnormal and self.watched else share
        return ReferenceScore(score, *band, 1 if abnormal else 0, reason if abnormal else 0)

    def _share(self, ts: int, value: float) -> tuple[float, int]:
        """How much of its limit the worst condition has used up, and which it is."""
        over = max(value - self.rule["upper"], self.rule["lower"] - value)
        if self.rule["ranged"] and over > 0.0:
            return 2.0 + min(over / self.rule["span"], 1e6), 2
        if ts - self.first_ms < self.rule["ready_ms"]:
            return (0.0 if self.rule["ranged"] else math.nan), 0
        share, reason = 0.0, 0
        if self.changes >= self.rule["changes"]:
            readings = max(self.rule["stuck_readings"], self.rule["stuck_ratio"] * self.longest)
            lasting_ms = max(self.rule["stuck_ms"], self.rule["stuck_ratio"] * self.longest_ms)
            share = min(self.run * (1.0 / readings), (ts - self.run_start_ms) * (1.0 / lasting_ms))
            reason = 1
        if self.level.shift > share:
            return self.level.shift, 3
        return share, reason

    def _watch(self, ts: int, verdict: int) -> None:
        if verdict == 1:
            self.watched, self.calm, self.last_abnormal_ms = True, 0, ts
        elif verdict == 0 and self.watched:
            self.calm = min(self.calm + 1, 255)
            late = ts - self.last_abnormal_ms >= self.rule["watch_ms"]
            self.watched = not (late and self.calm >= self.rule["watch_readings"])
