"""Limits from the tail of a series' own past."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import thresholds
from tocsin.detectors._tail_reference import Tail

strange = st.floats(0.0, 1e300)
knees = st.floats(thresholds.KNEE_MIN, thresholds.KNEE_MAX)
excesses = st.floats(0.01, thresholds.EXCESS_MAX)


def _learnt(draws: np.ndarray) -> Tail:
    tail = Tail()
    for z in np.abs(draws).tolist():
        tail.learn(z, 1.0)
    return tail


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(strange, st.floats(0.001, 1.0)), max_size=50))
def test_compiled_tail_equals_the_plain_one(steps: list[tuple[float, float]]) -> None:
    """Both learn the same knee and excess, bit by bit."""
    plain, knee, excess = Tail(), thresholds.KNEE_START, thresholds.EXCESS_START
    for z, weight in steps:
        plain.learn(z, weight)
        if z > knee:
            excess = thresholds.next_excess(z, knee, excess, weight)
        knee = thresholds.next_knee(z, knee, weight)
        assert (plain.knee, plain.excess) == (knee, excess)
        assert plain.rarity(z) == thresholds.rarity(z, knee, excess)


@settings(deadline=None)
@given(knees, excesses, st.floats(0.0, 1e6), st.floats(1e-3, 1e6))
def test_rarity_increases(knee: float, excess: float, z: float, more: float) -> None:
    """What is stranger is rarer, on either side of the knee."""
    assert thresholds.rarity(z + more, knee, excess) > thresholds.rarity(z, knee, excess)


@settings(deadline=None)
@given(knees, excesses, st.floats(4.0, 1e3))
def test_strangeness_inverts_rarity_beyond_the_knee(knee: float, excess: float, efolds: float) -> None:
    """The limit shown to people is where the score is 1."""
    z = thresholds.strangeness(efolds, knee, excess)
    assert math.isclose(thresholds.rarity(z, knee, excess), efolds, rel_tol=1e-9)


def test_a_gaussian_gets_its_quantile_and_a_heavy_tail_gets_a_wider_limit() -> None:
    """One reading of 50 of a Gaussian lies beyond 2.33 σ; a Student t with 2 degrees needs far more."""
    random = np.random.default_rng(1)
    gaussian = _learnt(random.standard_normal(20_000))
    heavy = _learnt(random.standard_t(2, 20_000))
    assert 2.0 < gaussian.knee < 2.7
    assert 0.2 < gaussian.excess < 0.7
    assert heavy.reach(10.0) > 2.0 * gaussian.reach(10.0)


def test_monsters_move_the_limit_only_so_far() -> None:
    """After a hundred sentinels the limit is bounded, and a calm past brings it back."""
    tail = Tail()
    for _ in range(100):
        tail.learn(1e42, 1.0)
    assert tail.reach(10.0) <= thresholds.KNEE_MAX + 7.0 * thresholds.EXCESS_MAX
    for z in np.abs(np.random.default_rng(2).standard_normal(20_000)).tolist():
        tail.learn(z, 1.0)
    assert tail.reach(10.0) < 10.0
