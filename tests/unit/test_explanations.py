"""The sentences by which detectors explain themselves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tocsin.detectors.abstract import EpisodeFacts
from tocsin.detectors.registry import detector

SATURDAY_14H_MS = 1_774_101_600_000  # 2026-03-21T14:00Z


def _facts(**changes: Any) -> EpisodeFacts:
    facts: dict[str, Any] = {
        "parameter": "temperature",
        "unit": "°C",
        "reason": "raw",
        "value": 93.2,
        "expected": 75.04,
        "lower": 69.0,
        "upper": 81.1,
        "score": 2.0,
        "peak_ms": SATURDAY_14H_MS,
        "peak_local_offset_ms": 0,
        "started_ms": SATURDAY_14H_MS,
        "last_abnormal_ms": SATURDAY_14H_MS,
        "readings": 7,
    }
    return EpisodeFacts(**facts | changes)


def test_a_reading_beyond_its_limit() -> None:
    """Value, distance, limit, and whose limit it is."""
    assert detector("seasonal").explain(_facts()) == (
        "temperature 93.2 °C is 12.1 °C above the 81.1 °C limit usual on Saturdays at 14:00"
    )


def test_the_sum_in_the_sentence_is_right() -> None:
    """The distance is that of the two numbers as written, not of those behind them: 33.8 - 25 = 8.8."""
    told = detector("seasonal").explain(_facts(value=33.77, expected=21.99, upper=25.04))
    assert told.startswith("temperature 33.8 °C is 8.8 °C above the 25 °C limit")


def test_the_hour_is_the_devices_own() -> None:
    """Ten hours east of Greenwich it is already Sunday."""
    told = detector("seasonal").explain(_facts(peak_local_offset_ms=36_000_000, value=60.0))
    assert told == "temperature 60 °C is 9 °C below the 69 °C limit usual on Sundays at 00:00"


def test_a_young_series_has_no_usual_hour_yet() -> None:
    """What the whole series has shown so far is what counts."""
    told = detector("seasonal").explain(_facts(reason="raw_young", unit=""))
    assert told == "temperature 93.2 is 12.1 above the 81.1 limit usual so far"


def test_an_average_that_strays() -> None:
    """The single value may lie inside the band, so it is set against what was expected."""
    told = detector("seasonal").explain(_facts(reason="smoothed", value=79.04))
    assert told == (
        "the average of temperature has strayed above what is usual on Saturdays at 14:00: "
        "79 °C at its peak, 75 °C expected"
    )


def test_hours_that_strayed() -> None:
    """What is told is the average distance, since no single reading needs to be far off."""
    told = detector("seasonal").explain(_facts(reason="strayed", lower=72.04, upper=78.04, value=74.0))
    assert told == (
        "temperature strays: the last hundred readings lay on average more than 3 °C from what is usual, "
        "several times as far as they usually do"
    )


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (
            _facts(reason="stuck", expected=math.nan, lower=math.nan, upper=math.nan, value=20.25),
            "temperature has stayed at exactly 20.25 °C for far longer than ever before",
        ),
        (
            _facts(
                reason="out_of_range", parameter="humidity", unit="%", value=104.5, lower=0.0, upper=100.0
            ),
            "humidity 104.5% is above 100%, the most that is physically possible",
        ),
        (
            _facts(reason="out_of_range", value=-300.0, lower=-273.15, upper=math.inf),
            "temperature -300 °C is below -273.15 °C, the least that is physically possible",
        ),
        (
            _facts(reason="level_shift", expected=20.0, lower=18.0, upper=22.0),
            (
                "temperature has moved to another level: the mean of the day before is not between "
                "18 °C and 22 °C, where 20 °C is usual"
            ),
        ),
    ],
)
def test_health_names_the_condition_and_its_numbers(facts: EpisodeFacts, told: str) -> None:
    """One sentence each."""
    assert detector("health").explain(facts) == told
