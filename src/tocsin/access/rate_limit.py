"""How much one credential may send: buckets of requests, of bytes and of refused lines, refilled by time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import RateLimitedError

_RETRY_AFTER_MIN_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What flows in per second, and how much may be saved up by a pause.

    A line that is refused costs many times what a good one does: it is read with care, and kept.
    """

    requests_per_s: float
    requests_burst: float
    bytes_per_s: float
    bytes_burst: float
    refused_per_s: float = 500.0
    refused_burst: float = 2_000.0


@dataclass(slots=True)
class _Bucket:
    requests: float
    bytes: float
    refused: float
    filled_s: float


class RateLimiter:
    """Token buckets by key id. Thread-safe.

    A request passes while one whole request and any byte and refused line are left; its bytes are then taken
    in full, if need be as a debt, so that a body larger than the burst is slow but not impossible. Of more
    than `buckets_max` credentials the least recent is forgotten, which starts it afresh.
    """

    def __init__(self, limits: RateLimits, clock: Clock, *, buckets_max: int = 10_000) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets_max = buckets_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threads.lock()

    def take(self, key_id: str, *, bytes_: int = 0) -> None:
        """Let one request pass or raise RateLimitedError with the time after which it would."""
        with self._lock:
            bucket = self._filled(key_id)
            wait_s = self._wait_s(bucket)
            if wait_s <= 0:
                bucket.requests -= 1
                bucket.bytes -= bytes_
                return
        raise RateLimitedError(
            "this credential sends more than its share, or too many refused lines: slow down, or ask "
            "for higher `access` limits",
            retry_after_s=max(wait_s, _RETRY_AFTER_MIN_S),
        )

    def charge(self, key_id: str, bytes_: int) -> None:
        """Take bytes that became known after the request had passed, if need be as a debt."""
        with self._lock:
            self._filled(key_id).bytes -= bytes_

    def charge_refused(self, key_id: str, lines: int) -> None:
        """Take lines that were refused, if need be as a debt."""
        with self._lock:
            self._filled(key_id).refused -= lines

    def _filled(self, key_id: str) -> _Bucket:
        now_s, limits = self._clock.monotonic_s(), self._limits
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = _Bucket(limits.requests_burst, limits.bytes_burst, limits.refused_burst, now_s)
            self._buckets[key_id] = bucket
            if len(self._buckets) > self._buckets_max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        passed_s = max(now_s - bucket.filled_s, 0.0)
        bucket.requests = min(bucket.requests + passed_s * limits.requests_per_s, limits.requests_burst)
        bucket.bytes = min(bucket.bytes + passed_s * limits.bytes_per_s, limits.bytes_burst)
        bucket.refused = min(bucket.refused + passed_s * limits.refused_per_s, limits.refused_burst)
        bucket.filled_s = now_s
        return bucket

    def _wait_s(self, bucket: _Bucket) -> float:
        """Seconds until the next request passes; 0 or less = now."""
        for_request_s = (1 - bucket.requests) / self._limits.requests_per_s
        for_bytes_s = (1 - bucket.bytes) / self._limits.bytes_per_s
        for_refused_s = (1 - bucket.refused) / self._limits.refused_per_s
        return max(for_request_s, for_bytes_s, for_refused_s)
