"""Keeps questions from a directory that fails, and tries now and then with a single one."""

from __future__ import annotations

import random
from typing import Final

FAILURES_MAX: Final = 5
_PAUSE_S_MIN: Final = 2.0
_PAUSE_S_MAX: Final = 300.0


class Breaker:
    """Closed: ask. Open: nobody asks until a pause is over; then one probe decides. Not thread-safe.

    The pause doubles with each probe that fails, up to five minutes, and half of it is drawn by lot, so that
    many installations do not come back to one directory at the same time.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self._pauses = 0
        self._until_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it takes a probe, now or later, before others may ask."""
        return self._until_s is not None

    def places(self, now_s: float, at_once: int) -> int:
        """How many questions may be on their way at the same time: all, one, or none."""
        if self._until_s is None:
            return at_once
        return 1 if now_s >= self._until_s else 0

    def succeed(self) -> None:
        """An answer came that can be used, or a clear `there is none`."""
        self._failures = self._pauses = 0
        self._until_s = None

    def fail(self, now_s: float, retry_after_s: float | None = None) -> None:
        """No answer. `retry_after_s` is what the third party asks for, which is done at once.

        One that had been asked before the pause began is no probe: it doubles nothing.
        """
        self._failures += 1
        if self._until_s is not None and now_s < self._until_s:
            self._until_s = max(self._until_s, now_s + (retry_after_s or 0.0))
            return
        if self._until_s is None and self._failures < FAILURES_MAX and retry_after_s is None:
            return
        pause_s = min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2**self._pauses)
        self._pauses = min(self._pauses + 1, 10)
        pause_s *= self._rng.uniform(0.5, 1.0)
        self._until_s = now_s + max(pause_s, retry_after_s or 0.0)
