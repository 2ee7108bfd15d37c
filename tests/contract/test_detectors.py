"""Every detector that the registry finds keeps the contract of detectors/abstract.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tocsin.control import Settings
from tocsin.detectors import conformance
from tocsin.detectors.abstract import SeriesDetector
from tocsin.detectors.conformance import History
from tocsin.detectors.registry import detectors
from tocsin.errors import InvalidInputError
from tocsin.model import Verdict

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FIRST_MS = 1_774_000_000_000

every_detector = pytest.mark.parametrize("detector", detectors().values(), ids=detectors())


def _values(kind: str, count: int, random: np.random.Generator) -> np.ndarray:
    noise = random.standard_normal(count)
    made = {
        "noise": noise,
        "constant": np.zeros(count),
        "quantised": np.round(noise * 3),
        "heavy": noise / np.maximum(np.abs(random.standard_normal(count)), 1e-6),
        "walk": np.cumsum(noise),
        "counter": np.arange(count) * 1.0,
        "switch": random.choice([0.0, 1.0], count),
        "sentinel": np.where(random.random(count) < 0.1, -1e42, noise),
        "extreme": random.choice([1.7e308, -1.7e308, 0.0, 5e-324], count),
    }
    return made[kind]


KINDS = ["noise", "constant", "quantised", "heavy", "walk", "counter", "switch", "sentinel", "extreme"]


@st.composite
def segments(draw: st.DrawFn) -> tuple[str, int, int, int, int, float, float]:
    """A stretch of one kind: (kind, readings, interval, gap before it, offset, scale, level)."""
    return (
        draw(st.sampled_from(KINDS)),
        draw(st.integers(1, 200)),
        draw(st.sampled_from([1, 1_000, 33_000, 300_000, HOUR_MS, DAY_MS])),
        draw(st.sampled_from([1, 60_000, DAY_MS, 100 * DAY_MS])),
        draw(st.sampled_from([0, HOUR_MS, 2 * HOUR_MS, -12_600_000, 49_500_000])),
        draw(st.sampled_from([1.0, 1e-9, 0.01, 1e9])),
        draw(st.sampled_from([0.0, 20.0, 1e9, -1e-9])),
    )


def _history(parts: list[tuple[str, int, int, int, int, float, float]], seed: int) -> History:
    random = np.random.default_rng(seed)
    ts, values, offsets = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, np.int32)]
    now = FIRST_MS
    for kind, count, interval_ms, gap_ms, offset_ms, scale, level in parts:
        steps = random.integers(1, 2 * interval_ms, count)
        steps[0] += gap_ms
        ts.append(now + np.cumsum(steps))
        now = int(ts[-1][-1])
        with np.errstate(over="ignore"):
            scaled = _values(kind, count, random) * scale + level
        values.append(np.clip(scaled, -1.7e308, 1.7e308))
        offsets.append(np.full(count, offset_ms, np.int32))
    return History(np.concatenate(ts), np.concatenate(values), np.concatenate(offsets))


def _calm(count: int, interval_ms: int = 300_000, seed: int = 1) -> History:
    """A daily season with noise, at regular intervals."""
    random = np.random.default_rng(seed)
    ts = FIRST_MS + np.arange(count) * interval_ms
    value = 20.0 + 3.0 * np.sin(ts / DAY_MS * 2 * np.pi) + random.standard_normal(count)
    return History(ts, value, np.zeros(count, np.int32))


def _with(history: History, start: int, values: np.ndarray) -> History:
    changed = history.value.copy()
    changed[start : start + len(values)] = values
    return History(history.ts, changed, history.local_offset_ms)


@every_detector
@given(parts=st.lists(segments(), min_size=1, max_size=6), seed=st.integers(0, 2**32))
@example(parts=[("noise", 200, HOUR_MS, 1, HOUR_MS, 1.0, 20.0)] * 6, seed=1)
@example(
    parts=[("noise", 200, 300_000, 1, 0, 1.0, 20.0), ("sentinel", 200, 300_000, 1, HOUR_MS, 1.0, 20.0)],
    seed=2,
)
@settings(max_examples=25, deadline=None)
def test_contract_holds_on_histories_that_no_device_would_send(
    detector: SeriesDetector, parts: list[tuple[str, int, int, int, int, float, float]], seed: int
) -> None:
    """Reference, cutting, neighbours, evidence and scores hold, whatever the readings."""
    conformance.check(detector, _history(parts, seed))


@every_detector
def test_contract_holds_through_weeks_with_faults_and_a_change_of_daylight_saving_time(
    detector: SeriesDetector,
) -> None:
    """With cells warm by the hour of week, shifts, spikes, stuck values and a clock set forward."""
    history = _calm(8_000, interval_ms=600_000)
    for start, values in ((3_000, [60.0] * 40), (5_000, [1e9]), (6_000, [20.25] * 300), (7_000, [9e99] * 30)):
        history = _with(history, start, np.array(values))
    offsets = np.where(np.arange(len(history)) < 5_500, HOUR_MS, 2 * HOUR_MS).astype(np.int32)
    conformance.check(detector, History(history.ts, history.value, offsets))


@every_detector
def test_contract_holds_for_a_series_whose_steps_become_finer_while_all_is_well(
    detector: SeriesDetector,
) -> None:
    """The finer steps are normal readings of a series that is long known."""
    calm, steps = _calm(4_000), np.random.default_rng(1).random(4_000) < 0.01
    value = 20.0 + steps * np.where(np.arange(4_000) < 2_000, 10.0, 1.0)
    conformance.check(detector, _with(calm, 0, value))


@every_detector
def test_one_history_always_gives_the_same_bytes(detector: SeriesDetector) -> None:
    """Two runs from nothing end in equal states and scores."""
    history, states = _with(_calm(3_000), 2_000, np.full(20, 70.0)), []
    for _ in range(2):
        state = conformance.new_state(detector)
        scores = conformance.score(detector, history, state)
        states.append((state.hot.tobytes(), state.cells.tobytes(), scores.score.tobytes()))
    assert states[0] == states[1]


@every_detector
@pytest.mark.parametrize("monster", [-1e42, 1.7e308, 9.9e99])
def test_monsters_do_not_poison_what_follows(detector: SeriesDetector, monster: float) -> None:
    """After an hour of sentinels a calm series is finite and soon normal again."""
    history = _with(_calm(9_000), 4_000, np.full(12, monster))
    scores = conformance.score(detector, history)
    after = slice(6_000, None)
    assert np.isfinite(scores.score[after]).all()
    assert (scores.verdict[after] == Verdict.ABNORMAL).mean() < 0.001


@every_detector
def test_not_ready_is_said_and_never_called_normal(detector: SeriesDetector) -> None:
    """The first reading of a series has nothing to be judged by."""
    scores = conformance.score(detector, _calm(1))
    assert scores.verdict.tolist() == [Verdict.NOT_READY]
    assert np.isnan(scores.score).all()


@every_detector
def test_an_unknown_parameter_of_a_detector_is_named(detector: SeriesDetector) -> None:
    """A typing error in the settings is answered with the names that there are."""
    name = detector.info.name
    with pytest.raises(InvalidInputError, match="it has"):
        detector.settings_row(Settings(detectors={name: {"limmit": 1.0}}), "value")
