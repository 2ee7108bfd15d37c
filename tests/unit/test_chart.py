"""Charts: what is drawn is what the readings say."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model import Verdict
from tocsin.services.series import Band, Chart, thin
from tocsin.web.chart import HEIGHT, WIDTH, Drawing, draw

MINUTE_MS = 60_000
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def chart_of(values: list[float], *, band: float | None = None, gap_after: int | None = None) -> Chart:
    """Readings a minute apart, perhaps with an hour missing after one of them."""
    value = np.array(values)
    ts = np.arange(len(values), dtype=np.int64) * MINUTE_MS
    if gap_after is not None:
        ts[gap_after + 1 :] += 60 * MINUTE_MS
    none = np.full(len(values), np.nan)
    lower, upper = (none, none) if band is None else (value - band, value + band)
    verdict = np.zeros(len(values), np.uint8)
    return Chart(0, int(ts[-1]) + 1, len(values), Band(ts, value, lower, lower, upper, verdict))


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[0-9.]+),(-?[0-9.]+)", path)]


def drawn(chart: Chart) -> Drawing:
    drawing = draw(chart)
    assert drawing is not None
    return drawing


@given(st.lists(FINITE, min_size=1, max_size=60), st.none() | st.floats(0, 1e6))
def test_every_reading_is_drawn_inside_the_box(values: list[float], band: float | None) -> None:
    """Whatever the values, the curve has a point for each of them, left to right, inside of the box."""
    drawing = drawn(chart_of(values, band=band))
    curve = points(drawing.value)
    assert len(curve) == len(values)
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)
    for x, y in curve + points(drawing.band):
        assert -0.1 <= x <= WIDTH + 0.1
        assert -0.1 <= y <= HEIGHT + 0.1


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20))
def test_higher_values_are_drawn_higher(values: list[float]) -> None:
    """The order of heights is that of the values (y grows downwards)."""
    heights = [y for _, y in points(drawn(chart_of(values)).value)]
    for first, second in pairwise(values):
        a, b = heights[values.index(first)], heights[values.index(second)]
        assert (a >= b) if first < second else (a <= b)


def test_gap_in_time_breaks_the_curve() -> None:
    """An hour without readings is not bridged by a line that would look like data."""
    assert drawn(chart_of([1.0, 2.0, 3.0, 4.0, 5.0])).value.count("M") == 1
    assert drawn(chart_of([1.0, 2.0, 3.0, 4.0, 5.0], gap_after=2)).value.count("M") == 2


def test_abnormal_readings_are_dots() -> None:
    """Each abnormal reading has a dot of its own; normal ones have none."""
    chart = chart_of([1.0, 9.0, 1.0, 8.0])
    chart.band.verdict[[1, 3]] = Verdict.ABNORMAL
    assert drawn(chart).dots.count("M") == 2
    assert "2 of the points shown are abnormal" in drawn(chart).summary


def test_nothing_to_draw() -> None:
    """Without readings there is no drawing, so the page can say what to do."""
    none = np.zeros(0)
    assert (
        draw(Chart(0, 1, 0, Band(np.zeros(0, np.int64), none, none, none, none, np.zeros(0, np.uint8))))
        is None
    )


def test_spans_are_cut_to_the_chart() -> None:
    """An anomaly that began earlier and lasts is shaded from edge to edge, a moment still shows."""
    spans = draw(chart_of([1.0] * 100), [(-(10**12), 10**12), (0, 0)])
    assert spans is not None
    assert [(span.x, span.width) for span in spans.spans] == [(0, WIDTH), (0, 2)]


def test_a_day_before_the_first_year_has_no_ticks() -> None:
    """A device whose first stamp lies in the first hours of year 1 has a page: its chart begins before."""
    value, none = np.array([1.0]), np.array([np.nan])
    ts = np.array([-62_135_596_800_000 + 5 * 3_600_000])
    band = Band(ts, value, none, none, none, np.zeros(1, np.uint8))
    drawing = drawn(Chart(int(ts[0]) + 1 - 86_400_000, int(ts[0]) + 1, 1, band))
    assert all(tick.at >= 75 for tick in drawing.x_ticks)


def test_ticks_are_few_and_inside() -> None:
    """Axes have some ticks with distinct labels at distinct places, never too many to read."""
    for minutes in (2, 30, 300, 3000, 30_000):
        drawing = drawn(chart_of([float(n % 7) for n in range(minutes)]))
        assert 1 <= len(drawing.y_ticks) <= 6
        assert len(drawing.x_ticks) <= 6
        assert len({tick.label for tick in drawing.y_ticks}) == len(drawing.y_ticks)
        assert all(4 <= tick.at <= 96 for tick in drawing.x_ticks)


@given(st.lists(FINITE, max_size=300), st.integers(2, 50))
def test_thinning_keeps_extremes_and_order(values: list[float], wanted: int) -> None:
    """Never more points than asked for, in order, lowest and highest among them; all when they fit."""
    value = np.array(values)
    rows = thin(value, wanted)
    assert len(rows) <= max(wanted, 2)
    assert rows.tolist() == sorted(set(rows.tolist()))
    if len(values) <= wanted:
        assert len(rows) == len(values)
    else:
        assert value[rows].min() == value.min()
        assert value[rows].max() == value.max()
