"""A credential's share: bursts pass, more than that waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access.rate_limit import RateLimiter, RateLimits
from tocsin.clock import ManualClock
from tocsin.errors import RateLimitedError

LIMITS = RateLimits(requests_per_s=2, requests_burst=4, bytes_per_s=100, bytes_burst=1000)


def passes(limiter: RateLimiter, key_id: str = "k", bytes_: int = 0) -> bool:
    try:
        limiter.take(key_id, bytes_=bytes_)
    except RateLimitedError:
        return False
    return True


def test_a_burst_passes_and_the_rate_holds_after_it() -> None:
    """After a pause the burst passes at once, then as many as flow in."""
    clock = ManualClock()
    limiter = RateLimiter(LIMITS, clock)
    assert [passes(limiter) for _ in range(5)] == [True] * 4 + [False]
    clock.sleep(1)
    assert [passes(limiter) for _ in range(3)] == [True, True, False]


def test_a_long_pause_saves_up_no_more_than_the_burst() -> None:
    """After an hour of silence a credential still gets its burst only."""
    clock = ManualClock()
    limiter = RateLimiter(LIMITS, clock)
    assert passes(limiter)
    clock.sleep(3600)
    assert [passes(limiter) for _ in range(5)] == [True] * 4 + [False]


def test_the_refusal_says_when_to_try_again() -> None:
    """Waiting as long as told is enough, and less is not."""
    clock = ManualClock()
    limiter = RateLimiter(LIMITS, clock)
    for _ in range(4):
        limiter.take("k")
    with pytest.raises(RateLimitedError) as caught:
        limiter.take("k")
    assert caught.value.retry_after_s == pytest.approx(0.5)
    clock.sleep(0.4)
    assert not passes(limiter)
    clock.sleep(0.1)
    assert passes(limiter)


def test_a_body_larger_than_the_burst_is_slow_not_impossible() -> None:
    """It passes when the bucket is not empty, and the debt is waited for."""
    clock = ManualClock()
    limiter = RateLimiter(LIMITS, clock)
    assert passes(limiter, bytes_=5000)
    with pytest.raises(RateLimitedError) as caught:
        limiter.take("k")
    assert caught.value.retry_after_s == pytest.approx(40.01)
    clock.sleep(40.01)
    assert passes(limiter)


def test_credentials_have_shares_of_their_own() -> None:
    """One that uses up its share takes nothing from another."""
    limiter = RateLimiter(LIMITS, ManualClock())
    while passes(limiter, "greedy"):
        pass
    assert passes(limiter, "modest")


def test_the_number_of_buckets_is_bounded() -> None:
    """Of too many credentials the least recent is forgotten."""
    limiter = RateLimiter(LIMITS, ManualClock(), buckets_max=2)
    for _ in range(4):
        limiter.take("first")
    assert not passes(limiter, "first")
    limiter.take("second")
    assert not passes(limiter, "first")
    limiter.take("third")
    limiter.take("fourth")
    assert passes(limiter, "first")


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 500)), max_size=60))
def test_never_more_than_burst_and_rate(steps: list[tuple[float, int]]) -> None:
    """Over any time, requests passed are at most the burst plus what flowed in."""
    clock = ManualClock()
    limiter = RateLimiter(LIMITS, clock)
    passed = 0
    for pause_s, bytes_ in steps:
        clock.sleep(pause_s)
        passed += passes(limiter, bytes_=bytes_)
        assert passed <= LIMITS.requests_burst + clock.monotonic_s() * LIMITS.requests_per_s + 1e-6


def test_refused_lines_are_waited_for() -> None:
    """Whoever has sent more refused lines than a credential may waits until they have flowed in again."""
    clock = ManualClock()
    limits = replace(LIMITS, requests_burst=100, refused_per_s=10, refused_burst=100)
    limiter = RateLimiter(limits, clock)
    limiter.charge_refused("k", 50)
    assert passes(limiter)
    limiter.charge_refused("k", 60)
    assert not passes(limiter)
    assert passes(limiter, "other")
    clock.sleep(1.2)
    assert passes(limiter)
