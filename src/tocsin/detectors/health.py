"""`health`: is the sensor itself well? Stuck, out of its physical range, or shifted for good."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np

from tocsin.control import Settings
from tocsin.detectors import _health_kernel as kernel
from tocsin.detectors._health_reference import HealthReference
from tocsin.detectors._settings import settings_row
from tocsin.detectors._words import amount, exact
from tocsin.detectors.abstract import (
    LIMIT_MAX,
    NEVER_MS,
    READINGS_MAX,
    TIME_MAX_S,
    DetectorInfo,
    EpisodeFacts,
    Parameter,
    Readings,
    ReferenceSeries,
    Rows,
    Scores,
    SeriesDetector,
    SeriesState,
    start_rows,
)

DAYS_MAX: Final = 36_500


class Health(SeriesDetector):
    """Compares runs of one value, the physical range and the daily mean with the series' own past."""

    info: ClassVar[DetectorInfo] = DetectorInfo(
        name="health",
        version=1,
        summary="stuck value, value out of its physical range, lasting shift of the level",
        parameters={
            "ready_s": Parameter(
                86_400, "s", "one day shows the nights, when many values rest", least=0, most=TIME_MAX_S
            ),
            "stuck_ratio": Parameter(
                5, "times the longest run", "a longer weekend is not a fault", least=0, most=LIMIT_MAX
            ),
            "stuck_readings": Parameter(
                15, "readings", "a short run proves nothing, however rare", least=1, most=READINGS_MAX
            ),
            "stuck_s": Parameter(900, "s", "the same in time", least=1, most=TIME_MAX_S),
            "changes": Parameter(
                20,
                "changes",
                "a series that hardly ever changes is constant by nature",
                least=0,
                most=READINGS_MAX,
            ),
            "shift_limit": Parameter(
                8, "mean distances of daily means", "six σ of a Gaussian", least=0.1, most=LIMIT_MAX
            ),
            "shift_days": Parameter(
                8, "days", "a week with its weekend, and the day to judge", least=1, most=DAYS_MAX
            ),
        },
        ready_after="one day (at once for the range, nine days for the level)",
        cost_ns_per_reading=20.0,
        score_range=(0.0, 1_000_002.0),
        fails_when="a sensor is stuck from its first reading, or its level moves a little every day",
        follows="longest run against the series' own past; daily means with mean absolute deviation",
        reasons=("none", "stuck", "out_of_range", "level_shift"),
    )
    hot_dtype: ClassVar[np.dtype[Any]] = kernel.HOT
    cell_dtype: ClassVar[np.dtype[Any]] = np.dtype([("unused", np.uint8)])
    cell_count: ClassVar[int] = 0
    settings_dtype: ClassVar[np.dtype[Any]] = kernel.SETTINGS
    state_version: ClassVar[int] = 2
    limits: ClassVar[tuple[str, ...]] = ("stuck_ratio", "stuck_readings", "stuck_ms", "shift_limit")
    firm_reasons: ClassVar[tuple[str, ...]] = ("out_of_range",)
    relearns: ClassVar[bool] = True
    pause: ClassVar[str] = "pause"

    def settings_row(self, settings: Settings, parameter: str) -> Rows:
        row, values = settings_row(self, settings)
        for name in ("stuck_ratio", "stuck_readings", "changes", "shift_limit", "shift_days"):
            row[name] = values[name]
        row["ready_ms"], row["stuck_ms"] = int(values["ready_s"] * 1000), values["stuck_s"] * 1000
        possible = settings.parameters.get(parameter)
        bounds = [] if possible is None else [b for b in (possible.lower, possible.upper) if b is not None]
        row["ranged"] = len(bounds) > 0
        row["lower"] = -math.inf if possible is None or possible.lower is None else possible.lower
        row["upper"] = math.inf if possible is None or possible.upper is None else possible.upper
        row["span"] = max([max(bounds, default=1.0) - min(bounds, default=0.0), *map(abs, bounds), 1e-9])
        return row

    def initialise(self, hot: Rows, cells: Rows) -> None:
        del cells  # there are none
        for name in ("before_ms", "last_abnormal_ms", "first_ms", "day_end_ms"):
            hot[name] = NEVER_MS

    def score(self, readings: Readings, state: SeriesState, settings: Rows, out: Scores) -> None:
        columns = (readings.series, readings.ts, readings.value, readings.local_offset_ms, readings.setting)
        results = (out.score, out.expected, out.lower, out.upper, out.verdict, out.reason)
        scratch, begun = np.zeros(1, kernel.HOT), start_rows(kernel.HOT, len(readings))
        start = 0
        while start < len(readings):
            start, started = kernel.score_rows(start, columns, state.hot, settings, results, scratch, begun)
            if started:
                state.starts.append(begun[:started].copy())

    def reference(self, settings: Rows) -> ReferenceSeries:
        return HealthReference(settings)

    def explain(self, facts: EpisodeFacts) -> str:
        if facts.reason == "out_of_range":
            return _out_of_range(facts)
        if facts.reason == "level_shift":
            return _level_shift(facts)
        value = exact(facts.value, facts.unit)
        return f"{facts.parameter} has stayed at exactly {value} for far longer than ever before"


def _out_of_range(facts: EpisodeFacts) -> str:
    above = facts.value > facts.upper
    limit = facts.upper if above else facts.lower
    distance = abs(facts.value - limit)
    return (
        f"{facts.parameter} {amount(facts.value, facts.unit, distance)} is "
        f"{'above' if above else 'below'} {exact(limit, facts.unit)}, the "
        f"{'most' if above else 'least'} that is physically possible"
    )


def _level_shift(facts: EpisodeFacts) -> str:
    reach = facts.upper - facts.expected
    usual, lower, upper = (
        amount(number, facts.unit, reach) for number in (facts.expected, facts.lower, facts.upper)
    )
    return (
        f"{facts.parameter} has moved to another level: the mean of the day before is not "
        f"between {lower} and {upper}, where {usual} is usual"
    )
