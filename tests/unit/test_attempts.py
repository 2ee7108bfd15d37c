"""Attempts to sign in: a few at once, then one after a while, for each key alone."""

from __future__ import annotations

import pytest

from tocsin.access.attempts import AttemptLimits, Attempts
from tocsin.clock import ManualClock
from tocsin.errors import RateLimitedError


def used_up(attempts: Attempts, key: str = "maria") -> float:
    """Take all there are; after how many seconds the next one passes."""
    for _ in range(10_000):
        try:
            attempts.take(key)
        except RateLimitedError as error:
            return error.retry_after_s or 0.0
    raise AssertionError("it has no end")


def test_after_the_burst_one_passes_now_and_then() -> None:
    """The refusal says when; before that nothing passes, then one."""
    clock = ManualClock(0)
    attempts = Attempts(AttemptLimits(burst=5, refill_s=30.0), clock)
    assert used_up(attempts) == 30.0
    clock.sleep(29.0)
    assert used_up(attempts) == pytest.approx(1.0)
    clock.sleep(1.0)
    attempts.take("maria")
    assert used_up(attempts) == pytest.approx(30.0)


def test_keys_have_their_own() -> None:
    """One name's failures are nobody else's."""
    attempts = Attempts(AttemptLimits(burst=2, refill_s=30.0), ManualClock(0))
    used_up(attempts, "maria")
    attempts.take("tom")


def test_what_succeeds_counts_for_nothing() -> None:
    """Somebody who signs in all day is never refused, and saves nothing up either."""
    attempts = Attempts(AttemptLimits(burst=2, refill_s=1e9), ManualClock(0))
    for _ in range(100):
        attempts.take("maria")
        attempts.give_back("maria")
    for _ in range(5):
        attempts.give_back("maria")
    attempts.take("maria")
    attempts.take("maria")
    with pytest.raises(RateLimitedError):
        attempts.take("maria")


def test_who_is_refused_is_not_forgotten_for_it() -> None:
    """Else somebody who goes on trying would have a new burst as soon as others have tried."""
    attempts = Attempts(AttemptLimits(burst=1, refill_s=1e9), ManualClock(0), buckets_max=2)
    attempts.take("maria")
    for other in ("a", "b", "c"):
        with pytest.raises(RateLimitedError):
            attempts.take("maria")
        attempts.take(other)


def test_memory_is_bounded() -> None:
    """Of many keys the least recent is forgotten."""
    attempts = Attempts(AttemptLimits(burst=1, refill_s=1e9), ManualClock(0), buckets_max=2)
    for key in ("a", "b", "c"):
        attempts.take(key)
    for key, passes in (("c", False), ("b", False), ("a", True)):
        if passes:
            attempts.take(key)
        else:
            with pytest.raises(RateLimitedError):
                attempts.take(key)
