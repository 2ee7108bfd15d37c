"""`health`, one series, one reading at a time: docs/explanation/health.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from proof.model.feedback import Heard
from proof.model.records import Settings
from proof.model.verdicts import ABNORMAL, NORMAL, Score
from proof.model.watch import Watch

DAY_MS = 86_400_000
HUGE = 1e120
REASONS = ("none", "stuck", "out_of_range", "level_shift")
RAISED = ("stuck_ratio", "stuck_readings", "stuck_ms", "shift_limit")
DEFAULTS = {
    "ready_s": 86_400.0,
    "stuck_ratio": 5.0,
    "stuck_readings": 15.0,
    "stuck_s": 900.0,
    "changes": 20.0,
    "shift_limit": 8.0,
    "shift_days": 8.0,
}


@dataclass(slots=True)
class Day:
    """A local day, as sums of the distances of its values from the first one."""

    end_ms: int
    first: float
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
        """Mean and deviation."""
        mean = self.total / self.count
        return self.first + mean, math.sqrt(max(self.squares / self.count - mean * mean, 0.0))


@dataclass(slots=True)
class Health:
    """What is learnt of one series."""

    day: Day | None = None
    first_ms: int = 0
    last: float = 0.0
    run: int = 0
    run_start_ms: int = 0
    changes: int = 0
    longest: float = 0.0
    longest_ms: float = 0.0
    fullest: float = 0.0
    days: int = 0
    level: float = 0.0
    distance: float = 0.0
    noise: float = 0.0
    shift: float = 0.0
    shift_band: tuple[float, float] = (0.0, 0.0)
    skipped: bool = False  # the run has readings that were not learnt
    watch: Watch = field(default_factory=Watch)

    def step(
        self, rules: Settings, parameter: str, ts: int, value: float, offset_ms: int, heard: Heard
    ) -> Score:
        """Judge a reading as people want it, then learn from it."""
        rule = DEFAULTS | rules.detectors["health"]
        rule["stuck_ms"] = rule["stuck_s"] * 1000
        for name in RAISED:
            rule[name] *= heard.factor
        x = min(max(value, -HUGE), HUGE)
        day = self.day
        over = day is None or ts >= day.end_ms
        if day is None or over or (self.skipped and heard.learns and not day.count):
            if day is not None and day.count:
                self._end_day(rule, day)
            elif over:
                self.shift = 0.0
            if (day is None or not day.count) and self.fullest == 0.0:
                self._begin(ts, x)
            day = self.day = Day(ts - (ts + offset_ms) % DAY_MS + DAY_MS, x)
        if x != self.last:
            self._end_run(ts, x, learns=heard.learns)
        score = self._judge(rule, rules.ranges.get(parameter, (None, None)), ts, value)
        self.watch.follow(rules, ts, score.verdict)
        self.run += 1
        if heard.learns:
            day.add(x)
        else:
            self.skipped = True
        return score

    def anew(self, factor: float) -> Health:
        """Nothing learnt; a run that goes on is still watched."""
        del factor  # limits are read anew at each reading
        return Health(watch=self.watch)

    def _begin(self, ts: int, x: float) -> None:
        """As with a series of which nothing is known."""
        self.first_ms = self.run_start_ms = ts
        self.last, self.run, self.skipped = x, 0, False

    def _end_run(self, ts: int, x: float, *, learns: bool) -> None:
        if learns and not self.skipped:
            self.longest = max(self.longest, float(self.run))
            self.longest_ms = max(self.longest_ms, float(ts - self.run_start_ms))
            self.changes += 1
        self.run, self.run_start_ms, self.last, self.skipped = 0, ts, x, False

    def _end_day(self, rule: dict[str, float], day: Day) -> None:
        self.longest *= 0.98
        self.longest_ms *= 0.98
        self.shift = 0.0
        whole = 2.0 * day.count >= self.fullest
        self.fullest = max(float(day.count), self.fullest * 0.98)
        if whole:
            self._learn_day(rule, *day.moments())

    def _learn_day(self, rule: dict[str, float], mean: float, deviation: float) -> None:
        """Judge a day's mean by the days before, then follow it."""
        self.days += 1
        gain = max(1.0 / self.days, 2.0 / 11.0)
        self.noise += (deviation - self.noise) * gain
        if self.days == 1:
            self.level = mean
            return
        usual = max(self.distance, 0.1 * self.noise, 1e-150)
        away = abs(mean - self.level)
        if self.days > rule["shift_days"]:
            reach = rule["shift_limit"] * usual
            self.shift = min(away / reach, 1e6)
            self.shift_band = (self.level, reach)
            away = min(away, 3.0 * usual)
        self.level += gain * (away if mean > self.level else -away)
        self.distance += (away - self.distance) * max(1.0 / (self.days - 1), 2.0 / 11.0)

    def _judge(
        self, rule: dict[str, float], bounds: tuple[float | None, float | None], ts: int, value: float
    ) -> Score:
        lower = -math.inf if bounds[0] is None else bounds[0]
        upper = math.inf if bounds[1] is None else bounds[1]
        given = [bound for bound in bounds if bound is not None]
        beyond = max(value - upper, lower - value)
        if given and beyond > 0.0:
            span = max([max(given) - min(given), *map(abs, given), 1e-9])
            return self._scored(2.0 + min(beyond / span, 1e6), (math.nan, lower, upper), 2)
        if ts - self.first_ms < int(rule["ready_s"] * 1000):
            return Score(0.0, verdict=NORMAL) if given else Score()
        share = self._stuck(rule, ts)
        if self.shift > share:
            level, reach = self.shift_band
            return self._scored(self.shift, (level, level - reach, level + reach), 3)
        return self._scored(share, (math.nan, math.nan, math.nan), 1)

    def _stuck(self, rule: dict[str, float], ts: int) -> float:
        """How much of its limit the run of one value has used up."""
        if self.changes < rule["changes"]:
            return 0.0
        readings = max(rule["stuck_readings"], rule["stuck_ratio"] * self.longest)
        lasting_ms = max(rule["stuck_ms"], rule["stuck_ratio"] * self.longest_ms)
        return min(self.run * (1.0 / readings), (ts - self.run_start_ms) * (1.0 / lasting_ms))

    def _scored(self, share: float, band: tuple[float, float, float], reason: int) -> Score:
        if not share > 1.0:
            return Score(share, *band, NORMAL)
        score = 1.0 + 0.1 * (share / (1.0 + share)) if self.watch.on else share
        return Score(score, *band, ABNORMAL, REASONS[reason])
