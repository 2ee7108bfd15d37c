"""`seasonal`: what is usual at this hour of the week; the default detector, needs no tuning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import numpy as np

from tocsin.control import Settings
from tocsin.detectors import _seasonal_kernel as kernel
from tocsin.detectors._seasonal_reference import SeasonalReference
from tocsin.detectors._settings import settings_row
from tocsin.detectors._words import amount
from tocsin.detectors.abstract import (
    NEVER_MS,
    CellCapture,
    DetectorInfo,
    EpisodeFacts,
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

CAPTURES: Final = 256  # hour changes under watch between two returns from the kernel


class Seasonal(SeriesDetector):
    """Judges each reading, raw and smoothed, by the mean and deviation of its hour of the week."""

    info: ClassVar[DetectorInfo] = DetectorInfo(
        name="seasonal",
        version=1,
        summary="what is usual at this hour of the week, learnt by the series itself",
        parameters={
            "limit": Parameter(6.4, "e-folds of rarity", "about one reading in 400,000"),
            "ready_readings": Parameter(20, "readings", "an average of 10 and as many to compare it with"),
            "warm_visits": Parameter(3, "visits", "a deviation between visits needs three of them"),
            "memory": Parameter(1000, "readings", "of the series as a whole, used until cells are warm"),
            "level_gain": Parameter(0.05, "share an hour", "a level that lasts for ten hours is the level"),
            "hold_s": Parameter(86_400, "s", "how long abnormal readings are kept out of learning"),
        },
        ready_after="20 readings; hour-of-day cells after 3 days, hour-of-week cells after 3 weeks",
        cost_ns_per_reading=20.0,
        score_range=(0.0, float("inf")),
        fails_when="the season is neither daily nor weekly, or a fault begins with the first readings",
        follows="hour-of-week profile with moving averages; limits by peaks over threshold (KDD 2017)",
        reasons=("none", "raw", "smoothed"),
    )
    hot_dtype: ClassVar[np.dtype[Any]] = kernel.HOT
    cell_dtype: ClassVar[np.dtype[Any]] = kernel.CELL
    cell_count: ClassVar[int] = kernel.CELLS
    settings_dtype: ClassVar[np.dtype[Any]] = kernel.SETTINGS
    state_version: ClassVar[int] = 1

    def settings_row(self, settings: Settings, parameter: str) -> Rows:
        del parameter  # the same for all
        row, values = settings_row(self, settings)
        for name in ("limit", "ready_readings", "warm_visits", "memory", "level_gain"):
            row[name] = values[name]
        row["memory_gain"] = 1.0 / values["memory"]
        row["hold_ms"] = int(values["hold_s"] * 1000)
        return row

    def initialise(self, hot: Rows, cells: Rows) -> None:
        del cells  # no visits: zeroes
        kernel.initialise(hot, NEVER_MS)

    def score(self, readings: Readings, state: SeriesState, settings: Rows, out: Scores) -> None:
        columns = (readings.series, readings.ts, readings.value, readings.local_offset_ms, readings.setting)
        results = (out.score, out.expected, out.lower, out.upper, out.verdict, out.reason)
        scratch, kept = np.zeros(1, kernel.HOT), np.zeros(kernel.WEEKDAYS, kernel.CELL)
        size = min(CAPTURES, len(readings) + 1)
        rows, cells = np.empty(size, np.int64), np.empty((size, kernel.WEEKDAYS), kernel.CELL)
        begun = start_rows(kernel.HOT, size)
        start = 0
        while start < len(readings):
            start, caught, started = kernel.score_rows(
                start,
                columns,
                state.hot,
                state.before,
                state.cells,
                settings,
                results,
                scratch,
                kept,
                rows,
                cells,
                begun,
            )
            state.starts.append(begun[:started].copy())
            for row, consulted in zip(rows[:caught].tolist(), cells[:caught], strict=True):
                state.captures.append(_capture(readings, row, state, consulted))

    def reference(self, settings: Rows) -> ReferenceSeries:
        return SeasonalReference(settings)

    def explain(self, facts: EpisodeFacts) -> str:
        above = facts.value >= facts.expected
        limit = facts.upper if above else facts.lower
        side = "above" if above else "below"
        local = datetime.fromtimestamp((facts.peak_ms + facts.peak_local_offset_ms) / 1000, UTC)
        when = f"usual on {local:%A}s at {local:%H}:00"
        distance = abs(facts.value - limit)
        return (
            f"{facts.parameter} {amount(facts.value, facts.unit, distance)} is "
            f"{amount(distance, facts.unit, distance)} {side} the {amount(limit, facts.unit, distance)} limit {when}"
        )


def _capture(readings: Readings, row: int, state: SeriesState, consulted: Rows) -> CellCapture:
    series, ts = int(readings.series[row]), int(readings.ts[row])
    hour = (ts + int(readings.local_offset_ms[row])) // kernel.HOUR_MS % 24
    before_ms = int(state.hot["before_ms"][series])
    return CellCapture(series, before_ms, ts, pack_cells(hour * kernel.WEEKDAYS, consulted))
