"""What `seasonal` finds in readings that stray for hours, and how long it refuses to get used to them."""

from __future__ import annotations

import numpy as np

from tocsin.control import Settings
from tocsin.detectors import conformance
from tocsin.detectors.conformance import History
from tocsin.detectors.seasonal import Seasonal
from tocsin.events import F64
from tocsin.model import Verdict

MINUTE_MS, DAY_MS = 60_000, 86_400_000
MONDAY_MS = 1_773_619_200_000
DAY = 288  # readings, one in five minutes
STRAYED = Seasonal.info.reasons.index("strayed")


def _noise(count: int, seed: int = 5) -> F64:
    """Noise that remembers ten readings, of deviation 1."""
    fresh = np.random.default_rng(seed).standard_normal(count) * np.sqrt(1.0 - 0.9**2)
    noise = np.zeros(count)
    for i in range(1, count):
        noise[i] = 0.9 * noise[i - 1] + fresh[i]
    return noise


def _history(value: F64) -> History:
    """Readings of five minutes, a daily season of four deviations under them."""
    ts = MONDAY_MS + np.arange(len(value)) * (5 * MINUTE_MS)
    season = 4.0 * np.sin(ts / DAY_MS * 2.0 * np.pi)
    return History(ts, np.round(20.0 + season + value, 2), np.zeros(len(value), np.int32))


def test_a_drift_of_ten_deviations_within_a_day_is_found_by_the_hours_that_strayed() -> None:
    """No reading is far from the one before it, and the limit of single readings follows them."""
    value = _noise(12 * DAY)
    begin, end = 9 * DAY, 10 * DAY
    value[begin:end] += np.linspace(0.0, 10.0, DAY)
    history = _history(value)
    scores = conformance.score(Seasonal(), history)
    strayed = scores.reason == STRAYED
    assert strayed[begin:end].sum() > DAY // 10
    assert not strayed[:begin].any()
    conformance.check(Seasonal(), history)


def test_noise_of_ten_times_the_usual_strength_is_found_within_hours() -> None:
    """What counts is the distance from what is expected, not its direction."""
    value = _noise(12 * DAY)
    begin, end = 9 * DAY, 10 * DAY
    value[begin:end] *= 10.0
    scores = conformance.score(Seasonal(), _history(value))
    assert (scores.reason[begin:end] == STRAYED).any()


def test_calm_weeks_never_stray() -> None:
    """Noise with a memory of ten readings comes to half of the limit."""
    scores = conformance.score(Seasonal(), _history(_noise(60 * DAY)))
    assert not (scores.reason == STRAYED).any()


def test_a_stronger_noise_that_lasts_is_usual_after_some_days() -> None:
    """For a day it is kept out of what is usual, then it is learnt."""
    value = _noise(20 * DAY)
    value[9 * DAY :] *= 10.0
    scores = conformance.score(Seasonal(), _history(value))
    assert (scores.reason[9 * DAY : 10 * DAY] == STRAYED).any()
    assert (scores.verdict[13 * DAY :] == Verdict.ABNORMAL).mean() < 0.01


def test_one_change_of_a_constant_series_is_not_held_against_the_readings_after_it() -> None:
    """Half of the smallest change is always usual, or a series that never moved could never move."""
    value = np.full(12 * DAY, 7.0)
    value[9 * DAY] = 8.0
    history = _history(np.zeros(len(value)))
    scores = conformance.score(Seasonal(), History(history.ts, value, history.local_offset_ms))
    assert not (scores.reason == STRAYED).any()


def test_the_least_limit_that_can_be_set_means_the_same_in_both_forms() -> None:
    """With it the bound of what enters the average may lie below 0."""
    detector = Seasonal()
    rule = detector.settings_row(Settings(detectors={"seasonal": {"limit": 0.1}}), "value")
    history = _history(np.random.default_rng(3).standard_cauchy(4 * DAY))
    scores, reference = conformance.score(detector, history, settings=rule), detector.reference(rule)
    columns = zip(history.ts.tolist(), history.value.tolist(), history.local_offset_ms.tolist(), strict=True)
    plain = [reference.step(*reading) for reading in columns]
    for name in conformance.COLUMNS:
        np.testing.assert_array_equal(getattr(scores, name), [getattr(one, name) for one in plain], name)
