"""`seasonal`: what is usual at this hour of the week; the default detector, needs no tuning."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import numpy as np

from tocsin.control import Settings
from tocsin.detectors import _seasonal_kernel as kernel
from tocsin.detectors._seasonal_reference import SeasonalReference
from tocsin.detectors._settings import settings_row
from tocsin.detectors._words import amount, apart
from tocsin.detectors.abstract import (
    LIMIT_MAX,
    NEVER_MS,
    READINGS_MAX,
    TIME_MAX_S,
    CellCapture,
    DetectorInfo,
    EpisodeFacts,
    Learnt,
    Parameter,
    Readings,
    ReferenceSeries,
    Rows,
    Scores,
    SeriesDetector,
    SeriesState,
    pack_cells,
    start_rows,
)

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CAPTURES: Final = 256  # hour changes under watch between two returns from the kernel


class Seasonal(SeriesDetector):
    """Judges each reading, raw and smoothed, by the mean and deviation of its hour of the week."""

    info: ClassVar[DetectorInfo] = DetectorInfo(
        name="seasonal",
        version=2,
        summary="what is usual at this hour of the week, learnt by the series itself",
        parameters={
            "limit": Parameter(
                6.4,
                "e-folds of rarity at one reading an hour",
                "one false sign in 600 hours; half an e-fold more for each doubling of the pace",
                least=0.1,
                most=LIMIT_MAX,
            ),
            "ready_readings": Parameter(
                20, "readings", "ten to start the average, ten to judge it by", least=1, most=READINGS_MAX
            ),
            "warm_visits": Parameter(
                3, "visits", "the least that show how much visits differ", least=1, most=kernel.VISITS_MAX
            ),
            "memory": Parameter(
                1000,
                "readings",
                "of the series as a whole, asked until cells are warm",
                least=1,
                most=READINGS_MAX,
            ),
            "level_gain": Parameter(
                0.02, "share an hour", "what has lasted for two days is the new level", least=0, most=1
            ),
            "stray_limit": Parameter(
                4,
                "times the usual distance",
                "twice what noise with a memory of ten readings comes to",
                least=0.1,
                most=LIMIT_MAX,
            ),
            "hold_s": Parameter(
                86_400,
                "s",
                "a fault has a day to be noticed before it becomes normal",
                least=0,
                most=TIME_MAX_S,
            ),
        },
        ready_after="20 readings; hours of the day after 3 days, hours of the week after 3 weeks",
        cost_ns_per_reading=20.0,
        score_range=(0.0, float("inf")),
        fails_when="the season is neither daily nor weekly, or a fault begins with the first readings",
        follows="profile by hour of week and moving averages; limits by peaks over threshold, Siffer et al., "
        "KDD 2017; docs/explanation/seasonal.md",
        reasons=("none", "raw", "smoothed", "raw_young", "smoothed_young", "strayed"),
    )
    hot_dtype: ClassVar[np.dtype[Any]] = kernel.HOT
    cell_dtype: ClassVar[np.dtype[Any]] = kernel.CELL
    cell_count: ClassVar[int] = kernel.CELLS
    settings_dtype: ClassVar[np.dtype[Any]] = kernel.SETTINGS
    state_version: ClassVar[int] = 2
    limits: ClassVar[tuple[str, ...]] = ("limit", "stray_limit")
    hold: ClassVar[str] = "hold_ms"
    relearns: ClassVar[bool] = True
    pause: ClassVar[str] = "pause"

    def settings_row(self, settings: Settings, parameter: str) -> Rows:
        del parameter  # the same for all
        row, values = settings_row(self, settings)
        for name in ("limit", "ready_readings", "warm_visits", "memory", "level_gain", "stray_limit"):
            row[name] = values[name]
        row["memory_gain"] = 1.0 / values["memory"]
        row["hold_ms"] = int(values["hold_s"] * 1000)
        return row

    def move_limits(self, hot: Rows, series: int, before: Rows, after: Rows) -> None:
        kernel.move_limit(hot, series, float(before["limit"]), float(after["limit"]))

    def relearn(self, hot: Rows, cells: Rows, series: int) -> None:
        super().relearn(hot, cells, series)
        for name in ("held_limit", "smooth_held_limit"):  # a run is not held to what was learnt before
            hot[name][series] = math.inf

    def initialise(self, hot: Rows, cells: Rows) -> None:
        del cells  # no visits: zeroes
        kernel.initialise(hot, NEVER_MS)

    def score(self, readings: Readings, state: SeriesState, settings: Rows, out: Scores) -> None:
        columns = (readings.series, readings.ts, readings.value, readings.local_offset_ms, readings.setting)
        results = (out.score, out.expected, out.lower, out.upper, out.verdict, out.reason)
        scratch, kept = np.zeros(1, kernel.HOT), np.zeros(kernel.WEEKDAYS, kernel.CELL)
        size = min(CAPTURES, len(readings) + 1)
        rows, since = np.empty(size, np.int64), np.empty(size, np.int64)
        cells, begun = np.empty((size, kernel.WEEKDAYS), kernel.CELL), start_rows(kernel.HOT, size)
        start = 0
        while start < len(readings):
            start, caught, started = kernel.score_rows(
                start,
                columns,
                state.hot,
                state.cells,
                settings,
                results,
                scratch,
                kept,
                rows,
                since,
                cells,
                begun,
            )
            if started:
                state.starts.append(begun[:started].copy())
            for row, since_ms, consulted in zip(
                rows[:caught].tolist(), since[:caught].tolist(), cells[:caught], strict=True
            ):
                state.captures.append(_capture(readings, row, since_ms, consulted))

    def learnt(self, hot: Rows, cells: Rows) -> list[Learnt]:
        series, cell = np.nonzero(cells["visits"])
        hour_of_week = cell % kernel.WEEKDAYS * 24 + cell // kernel.WEEKDAYS
        found = [
            Learnt(name, series, hour_of_week, cells[name][series, cell].astype(np.float64))
            for name in ("mean", "deviation", "visits")
        ]
        every, none = np.arange(len(hot)), np.full(len(hot), -1)
        names = ("knee", "excess", "smooth_knee", "smooth_excess")
        return found + [Learnt(name, every, none, hot[name].astype(np.float64)) for name in names]

    def reference(self, settings: Rows) -> ReferenceSeries:
        return SeasonalReference(settings)

    def explain(self, facts: EpisodeFacts) -> str:
        if facts.reason == "strayed":
            return _strayed(facts)
        above = facts.value >= facts.expected
        side, limit = ("above", facts.upper) if above else ("below", facts.lower)
        distance = abs(facts.value - limit)
        outside = not facts.lower <= facts.value <= facts.upper
        if outside and not facts.reason.startswith("smoothed"):
            return (
                f"{facts.parameter} {amount(facts.value, facts.unit, distance)} is "
                f"{amount(apart(facts.value, limit), facts.unit, distance)} {side} the "
                f"{amount(limit, facts.unit, distance)} limit {_usual(facts)}"
            )
        distance = abs(facts.value - facts.expected)
        return (
            f"the average of {facts.parameter} has strayed {side} what is {_usual(facts)}: "
            f"{amount(facts.value, facts.unit, distance)} at its peak, "
            f"{amount(facts.expected, facts.unit, distance)} expected"
        )


def _strayed(facts: EpisodeFacts) -> str:
    reach = facts.upper - facts.expected
    return (
        f"{facts.parameter} strays: the last hundred readings lay on average more than "
        f"{amount(reach, facts.unit, reach)} from what is usual, several times as far as they usually do"
    )


def _usual(facts: EpisodeFacts) -> str:
    if facts.reason.endswith("young"):
        return "usual so far"
    local = datetime.fromtimestamp((facts.peak_ms + facts.peak_local_offset_ms) / 1000, UTC)
    return f"usual on {WEEKDAYS[local.weekday()]}s at {local:%H}:00"


def _capture(readings: Readings, row: int, since_ms: int, consulted: Rows) -> CellCapture:
    ts = int(readings.ts[row])
    hour = (ts + int(readings.local_offset_ms[row])) // kernel.HOUR_MS % 24
    captured = pack_cells(hour * kernel.WEEKDAYS, consulted)
    return CellCapture(int(readings.series[row]), since_ms, ts, captured)
