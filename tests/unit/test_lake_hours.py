"""Hour aggregates and the spans above them equal a plain computation."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake_kit import DAY_MS, HOUR_MS, NOW_MS, Row, events, open_lake, record, steady
from tocsin.lake import intake
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.feed import Feed
from tocsin.lake.files import FRESH
from tocsin.lake.hours import aggregate_hours
from tocsin.lake.query import query
from tocsin.lake.rebuilding import rebuild_hours

VALUES = st.floats(-1e9, 1e9, allow_nan=False) | st.sampled_from([0.0, 1e9 + 0.25, -1e-300])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ""]),
        st.integers(NOW_MS - 3 * HOUR_MS, NOW_MS) | st.sampled_from([-1, 0, NOW_MS - 40 * DAY_MS, 2**53]),
        st.dictionaries(st.sampled_from(["t", "h", "é"]), VALUES),
        st.just(""),
    ),
    min_size=1,
    max_size=30,
)
Key = tuple[Any, ...]


def fill(folder: Path, parts: Sequence[list[Row]]) -> DeltaLake:
    """A lake with one append a part."""
    lake = open_lake(folder)
    offset = 0
    for rows in parts:
        lake.append([record(offset, events(rows))])
        offset += len(rows)
    return lake


def hours_of(lake: DeltaLake) -> dict[Key, tuple[float, ...]]:
    """The view `hours` by device, parameter and hour in ms."""
    found = query(
        'SELECT device, parameter, epoch_ms(hour) AS hour, "count", mean, deviation, "min", "max" FROM hours',
        lake=lake,
        log=None,
        tenant="acme",
    )
    return {
        (row["device"], row["parameter"], row["hour"]): (
            row["count"],
            row["mean"],
            -1.0 if row["deviation"] is None else row["deviation"],
            row["min"],
            row["max"],
        )
        for row in found.to_pylist()
    }


def plain_hours(rows: Sequence[Row]) -> dict[Key, tuple[float, ...]]:
    """The same, from the definition."""
    values: dict[Key, list[float]] = {}
    for device, ts, readings, _ in rows:
        for name, value in readings.items():
            values.setdefault((device, name, ts // HOUR_MS * HOUR_MS), []).append(value)
    return {
        key: (
            len(found),
            math.fsum(found) / len(found),
            statistics.stdev(found) if len(found) > 1 else -1.0,
            min(found),
            max(found),
        )
        for key, found in values.items()
    }


def assert_same(found: dict[Key, tuple[float, ...]], expected: dict[Key, tuple[float, ...]]) -> None:
    """Counts, least and greatest are exact; sums may differ in their last bits, squares may underflow."""
    assert found.keys() == expected.keys()
    for key, (count, mean, deviation, least, greatest) in expected.items():
        scale = max(abs(least), abs(greatest), 1e-290)
        assert (found[key][0], found[key][3], found[key][4]) == (count, least, greatest)
        assert found[key][1] == pytest.approx(mean, rel=1e-9, abs=scale * 1e-12)
        assert found[key][2] == pytest.approx(deviation, rel=1e-6, abs=scale * 1e-9 + 1e-150)


@settings(max_examples=8, deadline=None)
@given(parts=st.lists(ROWS, min_size=1, max_size=3))
def test_hours_equal_a_plain_computation(parts: list[list[Row]]) -> None:
    """However readings are cut into appends, and after compaction and rebuilding, the hours are the same."""
    with tempfile.TemporaryDirectory() as folder:
        lake = fill(Path(folder) / "lake", parts)
        expected = plain_hours([row for rows in parts for row in rows])
        assert_same(hours_of(lake), expected)
        list(compact(lake.store, CompactionPolicy(files_min=2)))
        assert_same(hours_of(lake), expected)
        rebuild_hours(lake.store, "acme")
        assert_same(hours_of(lake), expected)
        lake.close()


@pytest.mark.parametrize("months", [1, 2])
def test_hours_in_many_row_groups_are_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, months: int
) -> None:
    """A file is written some rows at a time; neither one between two groups nor the last few are left out."""
    rows = steady(60, step_ms=HOUR_MS, start_ms=NOW_MS - 60 * HOUR_MS)
    if months == 2:
        rows += steady(50, step_ms=HOUR_MS, start_ms=NOW_MS - 40 * DAY_MS)
    monkeypatch.setattr(intake, "FRESH", replace(FRESH, row_group_rows=7))
    lake = fill(tmp_path, [rows])
    assert_same(hours_of(lake), plain_hours(rows))
    lake.close()


def test_rebuilt_hours_are_a_new_revision(tmp_path: Path) -> None:
    """Rebuilding replaces the aggregates under the next revision, and later appends join that."""
    lake = fill(tmp_path / "lake", [steady(10)])
    assert rebuild_hours(lake.store, "acme") == 1
    assert rebuild_hours(lake.store, "acme") == 2
    lake.append([record(10, events(steady(10)))])
    lake.close()
    lake = open_lake(tmp_path / "lake")
    found = query(
        'SELECT DISTINCT revision, sum("count") AS n FROM hours GROUP BY 1',
        lake=lake,
        log=None,
        tenant="acme",
    )
    assert found.to_pylist() == [{"revision": 2, "n": 40}]
    lake.close()


@pytest.mark.parametrize(
    ("view", "column", "starts"),
    [
        ("days", "day", ["2024-02-29", "2024-03-01", "2024-12-01", "2025-02-28"]),
        ("weeks", "week", ["2024-02-26", "2024-11-25", "2025-02-24"]),
        ("months", "month", ["2024-02-01", "2024-03-01", "2024-12-01", "2025-02-01"]),
        ("seasons", "season", ["2023-12-01", "2024-03-01", "2024-12-01"]),
    ],
)
def test_spans_start_where_the_calendar_says(
    tmp_path: Path, view: str, column: str, starts: list[str]
) -> None:
    """Days, weeks from Monday, months, and seasons of December, March, June and September, in UTC."""
    days = ("2024-02-29", "2024-03-01", "2024-12-01", "2025-02-28")
    stamps = [int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000) for day in days]
    lake = fill(tmp_path / "lake", [[("a", ts, {"t": 1.0}, "") for ts in stamps]])
    sql = f'SELECT {column}, "count" FROM {view} ORDER BY 1'  # noqa: S608
    found = query(sql, lake=lake, log=None, tenant="acme")
    assert [value.date().isoformat() for value in found.column(0).to_pylist()] == starts
    assert sum(found.column(1).to_pylist()) == 4
    lake.close()


def test_deviation_of_a_span_keeps_its_digits(tmp_path: Path) -> None:
    """Merging hours far from zero loses nothing by cancellation."""
    values = [1e9 + step / 8 for step in range(96)]
    rows: list[Row] = [("a", NOW_MS - at * HOUR_MS // 4, {"t": value}, "") for at, value in enumerate(values)]
    lake = fill(tmp_path / "lake", [rows[:50], rows[50:]])
    found = query(
        "SELECT deviation, mean FROM months WHERE month < TIMESTAMPTZ '2026-01-01'",
        lake=lake,
        log=None,
        tenant="acme",
    )
    assert found.to_pylist()[0]["deviation"] == pytest.approx(statistics.stdev(values[1:]), rel=1e-9)
    lake.close()


def plain_parts(rows: Sequence[Row]) -> dict[Key, tuple[float, ...]]:
    """Count, sum, m2, least and greatest by device, parameter and hour, by Welford, reading by reading."""
    parts: dict[Key, tuple[float, ...]] = {}
    for device, ts, readings, _ in rows:
        for name, value in readings.items():
            key = (device, name, ts // HOUR_MS * HOUR_MS)
            count, mean, total, m2, least, greatest = parts.get(key, (0, 0.0, 0.0, 0.0, value, value))
            difference = value - mean
            mean += difference / (count + 1)
            m2 += difference * (value - mean)
            parts[key] = (count + 1, mean, total + value, m2, min(least, value), max(greatest, value))
    return {key: (found[0], *found[2:]) for key, found in parts.items()}


@settings(max_examples=50, deadline=None)
@given(rows=ROWS, copies=st.integers(1, 3))
def test_the_kernel_equals_its_scalar_form(rows: list[Row], copies: int) -> None:
    """Whether slots are counted out or numbered, sums equal those of plain Python bit for bit."""
    feed = Feed("acme", [record(0, events(rows * copies))])
    hours = aggregate_hours(feed)
    keys = zip(hours.device.tolist(), hours.parameter.tolist(), hours.hour_ms.tolist(), strict=True)
    parts = zip(hours.count, hours.sum, hours.m2, hours.min, hours.max, strict=True)
    found = [
        ((feed.devices[device], feed.names[parameter], hour_ms), tuple(map(float, part)))
        for (device, parameter, hour_ms), part in zip(keys, parts, strict=True)
    ]
    by_key = dict(found)
    assert len(by_key) == len(found)
    assert by_key == plain_parts(rows * copies)


def test_squares_beyond_float64_are_infinite() -> None:
    """Values whose differences overflow leave a square sum that says so, never one that breaks a query."""
    rows: list[Row] = [("a", NOW_MS, {"t": value}, "") for value in (1.7e308, -1.7e308, 1.7e308)]
    feed = Feed("acme", [record(0, events(rows))])
    assert aggregate_hours(feed).m2.tolist() == [math.inf]
