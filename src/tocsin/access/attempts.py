"""How often somebody may try to sign in: buckets of attempts, refilled by time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import RateLimitedError


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many may fail one after another, and after how many seconds one more may."""

    burst: int
    refill_s: float


@dataclass(slots=True)
class _Bucket:
    left: float
    filled_s: float


class Attempts:
    """Thread-safe. An attempt is taken before it is known whether it succeeds, and given back if it does: so
    many at once can't get more than the burst. Of more than `buckets_max` keys the least recent is forgotten.
    """

    def __init__(self, limits: AttemptLimits, clock: Clock, *, buckets_max: int = 10_000) -> None:
        self._limits: Final = limits
        self._clock: Final = clock
        self._buckets_max: Final = buckets_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threads.lock()

    def take(self, key: str) -> None:
        """Let one attempt pass, or raise RateLimitedError with the time after which one would."""
        with self._lock:
            bucket = self._filled(key)
            if bucket.left >= 1:
                bucket.left -= 1
                return
            wait_s = (1 - bucket.left) * self._limits.refill_s
        raise RateLimitedError(
            "Too many attempts to sign in have failed: wait a while.", retry_after_s=wait_s
        )

    def give_back(self, key: str) -> None:
        """The attempt succeeded."""
        with self._lock:
            bucket = self._filled(key)
            bucket.left = min(bucket.left + 1, self._limits.burst)

    def _filled(self, key: str) -> _Bucket:
        now_s = self._clock.monotonic_s()
        bucket = self._buckets.setdefault(key, _Bucket(self._limits.burst, now_s))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._buckets_max:
            self._buckets.popitem(last=False)
        passed_s = max(now_s - bucket.filled_s, 0.0)
        bucket.left = min(bucket.left + passed_s / self._limits.refill_s, self._limits.burst)
        bucket.filled_s = now_s
        return bucket
