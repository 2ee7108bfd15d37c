"""When to ask again: after an answer, and after none."""

from __future__ import annotations

import random
from typing import Final

from tocsin.directory.limits import DirectoryLimits

_EARLY: Final = (0.97, 0.99)
_RETRY_S: Final = 5.0
_RETRIES_SAVED_MAX: Final = 20.0
_RETRIES_PER_ANSWER: Final = 0.1


class Timing:
    """Draws lots, so that questions spread over the time that they have. Not thread-safe.

    A list is asked for again within its last three hundredths, so that the answer is there before it is
    stale; the first time, and after trouble, anywhere in the second half of its time, or all lists that came
    in one burst would always be asked for in one. A try after a failure comes early only as long as there
    were ten answers for each; then it waits as if it had been answered.
    """

    def __init__(self, limits: DirectoryLimits, rng: random.Random) -> None:
        self._limits = limits
        self._rng = rng
        self._retries = _RETRIES_SAVED_MAX

    def answered(self) -> None:
        """An answer came: it earns a part of a retry."""
        self._retries = min(_RETRIES_SAVED_MAX, self._retries + _RETRIES_PER_ANSWER)

    def list_s(self, *, settled: bool, empty: bool) -> float:
        """Until a list that was answered is asked for again; `settled`: so was the one before."""
        if empty:
            return self._again_s()
        low, high = _EARLY if settled else (0.5, _EARLY[1])
        return self._limits.soft_s * self._rng.uniform(low, high)

    def device_s(self) -> float:
        """Until a device that no list has is asked about again."""
        return self._again_s()

    def retry_s(self, failures: int) -> float:
        """Until a question that had no answer, for the `failures`-th time, is asked again."""
        if self._retries < 1.0:
            return self._limits.soft_s * self._rng.uniform(0.5, 1.0)
        self._retries -= 1.0
        pause_s = min(self._limits.soft_s, _RETRY_S * 2.0 ** min(failures, 20))
        return pause_s * self._rng.uniform(0.5, 1.0)

    def _again_s(self) -> float:
        return self._limits.again_s * self._rng.uniform(0.9, 1.0)
