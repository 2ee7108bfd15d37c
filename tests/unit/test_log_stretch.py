"""Which stamps of a dump are of its time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.log_detector import _tally_kernel as kernel
from tocsin.log_detector.stretch import JUMP_H, joined, no_hours

HOUR_MS = kernel.HOUR_MS
DAY = 20_458  # since 1970, in 2026


def stretch(lines: Mapping[int, int]) -> tuple[float, float]:
    """The hours at both ends, of so many lines in the middle of these hours."""
    hours = no_hours()
    for hour, count in lines.items():
        for _ in range(count):
            kernel.count_hour((hours.ctypes.data, len(hours)), hour * HOUR_MS + HOUR_MS // 2)
    first_ms, newest_ms = joined(hours)
    return first_ms // HOUR_MS, newest_ms // HOUR_MS


def busy(*days: int, lines: int = 100) -> dict[int, int]:
    """Twelve hours of work on each day."""
    return {(DAY + day) * 24 + hour: lines for day in days for hour in range(6, 18)}


def test_a_weekend_without_a_line_is_within_a_dump() -> None:
    """Enough lines are behind it."""
    assert stretch(busy(0, 3)) == (DAY * 24 + 6, (DAY + 3) * 24 + 17)


def test_a_device_that_says_little_has_one_stretch() -> None:
    """A line every ten hours is its pace."""
    hours = [DAY * 24 + 10 * n for n in range(20)]
    assert stretch(dict.fromkeys(hours, 1)) == (hours[0], hours[-1])


@pytest.mark.parametrize("bad", [0, 5, DAY * 24 - 2_000, (DAY + 9) * 24, (DAY + 20_000) * 24])
def test_lines_of_a_clock_that_was_not_set_are_of_no_time(bad: int) -> None:
    """Not even fifty of them, such as a start writes before the clock is set, where they are years off."""
    lines = 50 if abs(bad - DAY * 24) > 100_000 else 1
    assert stretch(busy(0) | {bad: lines}) == (DAY * 24 + 6, DAY * 24 + 17)


def test_without_stamps_there_is_no_time() -> None:
    """Said as 0."""
    assert stretch({}) == (0, 0)


@given(st.lists(st.integers(1, JUMP_H + 1), max_size=50), st.integers(1, 9))
def test_hours_without_a_jump_are_all_joined(steps: list[int], lines: int) -> None:
    """Wherever they begin, and however many lines each has."""
    hours = [DAY * 24]
    for step in steps:
        hours.append(hours[-1] + step)
    assert stretch({hour: 1 + (hour * lines) % 7 for hour in hours}) == (hours[0], hours[-1])
