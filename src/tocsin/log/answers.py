"""Finds the answer a repeated request got the first time."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import RateLimitedError, StorageUnavailableError
from tocsin.log.bounds import AnswerBounds
from tocsin.log.kept import KeptStore, Stopping
from tocsin.log.rows import Answer, answer_bytes, answer_key
from tocsin.log.segment import Segment

_RETRY_AFTER_S: Final = 60
KEEP_MS: Final = 24 * 3600 * 1000


class AnswerBook:
    """Looks through the unsettled segments, newest first, then through what was kept. Thread-safe.

    The keys of unsettled segments are in memory (about 100 bytes each, a segment's worth), so that a
    first request, the normal case, costs one look into the kept answers.
    """

    def __init__(self, kept: KeptStore, clock: Clock, bounds: AnswerBounds) -> None:
        self._kept = kept
        self._clock = clock
        self._bounds = bounds
        self._unsettled: dict[Segment, set[int]] = {}
        self._unsettled_bytes: dict[Segment, Counter[str]] = {}
        self._kept_bytes = kept.answer_bytes()
        self._lock = threads.lock()

    def open_segment(self, segment: Segment) -> None:
        """Look into this segment too; it is newer than all before."""
        keys, sizes = segment.answer_keys(), segment.answer_bytes()
        with self._lock:
            self._unsettled[segment], self._unsettled_bytes[segment] = keys, sizes

    def add(self, segment: Segment, answer: Answer) -> None:
        """The answer is durable in `segment`."""
        with self._lock:
            self._unsettled[segment].add(answer.key)
            self._unsettled_bytes[segment][answer.tenant] += answer_bytes(answer)

    def settle(self, segment: Segment, stopping: Stopping) -> bool:
        """Move the segment's answers and dead letters to where they outlive it; it must be sealed.

        False if told to stop before the end.
        """
        if not self._kept.settle(segment, self.expired_ms(), stopping):
            return False
        sizes = self._kept.answer_bytes()
        with self._lock:
            self._kept_bytes = sizes
            self._unsettled.pop(segment, None)
            self._unsettled_bytes.pop(segment, None)
        return True

    def forget(self, stopping: Stopping) -> None:
        """Make room: let settled answers go that have expired."""
        self._kept.forget(self.expired_ms(), stopping)
        sizes = self._kept.answer_bytes()
        with self._lock:
            self._kept_bytes = sizes

    def require_room(self, tenant: str, bytes_more: int) -> None:
        """RateLimitedError if the tenant's answers would weigh too much with so many bytes more."""
        with self._lock:
            held = self._kept_bytes[tenant] + sum(each[tenant] for each in self._unsettled_bytes.values())
        if held + bytes_more > self._bounds.bytes_max:
            raise RateLimitedError(
                "Too many keys of this tenant were used in the last 24 hours: nothing was kept. Send fewer "
                "and larger bodies, or without a key, or wait until the oldest have expired.",
                retry_after_s=_RETRY_AFTER_S,
            )

    def expired_ms(self) -> int:
        """Answers to what arrived before this moment are forgotten."""
        return self._clock.now_ms() - KEEP_MS

    def find(self, tenant: str, producer: str, sequence: str) -> Answer | None:
        """The answer, if it is not older than 24 hours."""
        key = answer_key(tenant, producer, sequence)
        with self._lock:
            holders = [segment for segment, keys in self._unsettled.items() if key in keys]
        for segment in reversed(holders):
            if found := self._find_in(segment, tenant, producer, sequence):
                return self._unexpired(found)
        found = self._kept.find_answer(tenant, producer, sequence)
        return self._unexpired(found) if found else None

    def _find_in(self, segment: Segment, tenant: str, producer: str, sequence: str) -> Answer | None:
        try:
            return segment.find_answer(tenant, producer, sequence)
        except StorageUnavailableError:
            if segment in self._unsettled:
                raise
            return None  # settled and trimmed in the meantime

    def _unexpired(self, answer: Answer) -> Answer | None:
        return answer if answer.arrival_ms >= self.expired_ms() else None
