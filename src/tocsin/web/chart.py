"""A series drawn as SVG on the server: value, expected, band and the abnormal span.

The curves live in a box that is stretched to the page's width, in units of 1/1000 of it; lines keep
their width by `vector-effect`. Words stand outside of that box, so they are never distorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import numpy as np

from tocsin.events import F64, I64
from tocsin.model import Verdict
from tocsin.services.series import Band, Chart

WIDTH: Final = 1000
HEIGHT: Final = 220
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_STEPS_MS: Final = (
    *(minutes * _MINUTE_MS for minutes in (1, 5, 10, 15, 30)),
    *(hours * _HOUR_MS for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY_MS for days in (1, 2, 7, 14, 30, 60, 120)),
)
_TICKS_MAX: Final = 5
_EARLIEST_MS: Final = -62_135_596_800_000  # the years 1 and 9999, between which Python knows dates
_LATEST_MS: Final = 253_402_300_800_000
_GAP_FACTOR: Final = 8
_GUTTER_PX: Final = 22
_DIGIT_PX: Final = 7
_NEIGHBOURHOODS: Final = 60
_LARGEST: Final = 1e150
_SMALLEST: Final = 1e-150


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: `at` is a percentage of the width, or pixels from the top."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time on the horizontal axis, in the units of the box."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the template puts into its SVG; paths are the `d` of path elements, "" = nothing to draw."""

    value: str
    expected: str
    band: str
    dots: str
    spans: Sequence[Span]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    summary: str
    unit: str

    @property
    def gutter(self) -> int:
        """Pixels that the labels of the values need beside the curves."""
        return _GUTTER_PX + _DIGIT_PX * max((len(tick.label) for tick in self.y_ticks), default=0)


@dataclass(frozen=True, slots=True)
class _Scale:
    from_ms: int
    to_ms: int
    low: float
    high: float

    def x(self, ts: I64) -> F64:
        return (ts - self.from_ms).astype(np.float64) * (WIDTH / (self.to_ms - self.from_ms))

    def y(self, value: F64) -> F64:
        return HEIGHT - (value - self.low) / (self.high - self.low) * HEIGHT


def draw(chart: Chart, spans: Sequence[tuple[int, int]] = ()) -> Drawing | None:
    """The chart, with abnormal `spans` (from, to in ms) behind the curves; None without readings."""
    if not len(chart.band):
        return None
    band = _bounded(chart.band)
    low, high = _range(band)
    scale = _Scale(chart.from_ms, chart.to_ms, low, high)
    abnormal = np.flatnonzero(band.verdict == Verdict.ABNORMAL)
    return Drawing(
        value=_line(scale, band.ts, band.value),
        expected=_line(scale, band.ts, band.expected),
        band=_area(scale, band),
        dots=_dots(scale, band.take(abnormal)),
        spans=[_span(scale, *span) for span in spans],
        x_ticks=list(_time_ticks(scale)),
        y_ticks=_value_ticks(scale),
        summary=_summary(chart, len(abnormal)),
        unit=chart.unit,
    )


def _bounded(band: Band) -> Band:
    """The same without numbers so large that differences of them overflow."""
    columns = (band.value, band.expected, band.lower, band.upper)
    value, expected, lower, upper = (np.clip(column, -_LARGEST, _LARGEST) for column in columns)
    return replace(band, value=value, expected=expected, lower=lower, upper=upper)


def _range(band: Band) -> tuple[float, float]:
    """Lowest and highest number drawn, with some room, so that no curve touches the edge."""
    columns = [column[np.isfinite(column)] for column in (band.value, band.lower, band.upper)]
    numbers = np.concatenate(columns)
    # a band that is very wide at first would flatten the curve that matters
    size = float(np.abs(band.value).max())
    spread = float(np.ptp(band.value))
    if spread <= size * 1e-9 or spread < _SMALLEST:
        spread = max(size * 0.1, _SMALLEST)
    low = max(float(numbers.min()), float(band.value.min()) - 2 * spread)
    high = min(float(numbers.max()), float(band.value.max()) + 2 * spread)
    room = (high - low) * 0.08 or spread
    return low - room, high + room


def _line(scale: _Scale, ts: I64, value: F64) -> str:
    """Straight pieces between neighbours; broken where there is no number and at gaps in time."""
    return " ".join(
        "M" + " L".join(_pairs(scale.x(ts[rows]), scale.y(value[rows]))) + ("h0" if len(rows) == 1 else "")
        for rows in _pieces(ts, np.isfinite(value))
    )


def _area(scale: _Scale, band: Band) -> str:
    """The band's outline, each limit the widest of its neighbours.

    A reading is judged raw and smoothed, and told with the band it came nearest to; the two alternate,
    so that the bare limits would be a comb.
    """
    shown = np.isfinite(band.lower) & np.isfinite(band.upper)
    lower = np.clip(band.lower, scale.low, scale.high)
    upper = np.clip(band.upper, scale.low, scale.high)
    reach = max(1, len(band) // _NEIGHBOURHOODS)
    parts = []
    for rows in _pieces(band.ts, shown):
        x = scale.x(band.ts[rows])
        there = _pairs(x, scale.y(_widest(upper[rows], reach)))
        back = _pairs(x, scale.y(-_widest(-lower[rows], reach)))
        parts.append("M" + " L".join([*there, *reversed(back)]) + "Z")
    return " ".join(parts)


def _widest(limit: F64, reach: int) -> F64:
    """The largest value within `reach` rows on either side."""
    padded = np.pad(limit, reach, constant_values=-np.inf)
    widest: F64 = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return widest


def _dots(scale: _Scale, abnormal: Band) -> str:
    """Lines of no length: round caps make them dots, which stay round when the box is stretched."""
    return " ".join(f"M{pair}h0" for pair in _pairs(scale.x(abnormal.ts), scale.y(abnormal.value)))


def _pairs(x: F64, y: F64) -> list[str]:
    return [f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def _pieces(ts: I64, shown: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[I64]:
    """Runs of rows that belong together: all shown, no step much longer than usual."""
    rows = np.flatnonzero(shown)
    if not len(rows):
        return
    steps = np.diff(ts[rows])
    usual = float(np.median(steps)) if len(steps) else 0.0
    apart = (np.diff(rows) > 1) | (steps > usual * _GAP_FACTOR)
    cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)]
    for start, end in pairwise(cuts):
        yield rows[start:end]


def _span(scale: _Scale, from_ms: int, to_ms: int) -> Span:
    edges = scale.x(np.clip(np.array([from_ms, to_ms]), scale.from_ms, scale.to_ms))
    return Span(round(float(edges[0]), 1), max(2.0, round(float(edges[1] - edges[0]), 1)))


def _time_ticks(scale: _Scale) -> Iterator[Tick]:
    length = scale.to_ms - scale.from_ms
    step = next((step for step in _STEPS_MS if length / step <= _TICKS_MAX), _STEPS_MS[-1])
    first, last = max(scale.from_ms, _EARLIEST_MS), min(scale.to_ms, _LATEST_MS)
    for ts in range(-(-first // step) * step, last, step):
        moment = datetime.fromtimestamp(ts / 1000, UTC)
        label = f"{moment:%-d %b}" if step >= _DAY_MS or ts % _DAY_MS == 0 else f"{moment:%H:%M}"
        at = (ts - scale.from_ms) * 100 / length
        if 4 <= at <= 96:
            yield Tick(round(at, 2), label)


def _value_ticks(scale: _Scale) -> list[Tick]:
    raw = (scale.high - scale.low) / 4
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw or factor == 10)
    first = np.ceil(scale.low / step)
    values = [(first + n) * step for n in range(6) if (first + n) * step < scale.high]
    # as many digits as tell neighbours apart
    digits = int(np.clip(np.ceil(np.log10(max([step, *map(abs, values)]) / step)) + 1, 3, 15))
    return [
        Tick(round(float(scale.y(np.array([value]))[0]), 1), f"{value + 0.0:.{digits}g}") for value in values
    ]


def _summary(chart: Chart, abnormal: int) -> str:
    value = chart.band.value
    unit = f" {chart.unit}" if chart.unit else ""
    return (
        f"{chart.readings} readings between {value.min():.4g} and {value.max():.4g}{unit}; "
        f"{abnormal} of the points shown are abnormal"
    )
