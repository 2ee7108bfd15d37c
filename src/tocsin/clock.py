"""Time is passed in, so that it can be tested; nothing else in Tocsin reads a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since the epoch, and a monotonic count of seconds."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since 1970, monotonic since the start of the process."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""
        ...


class SystemClock:
    """Wall time taken once at the start and advanced by the monotonic clock.

    A jump of the machine's clock therefore never changes the order of what is stamped here;
    `drift_ms` tells how far the machine's clock has moved away, so that it can raise an alarm.
    """

    def __init__(self) -> None:
        self._wall_start_ms = time.time_ns() // 1_000_000
        self._mono_start_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        return self._wall_start_ms + (time.monotonic_ns() - self._mono_start_ns) // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def drift_ms(self) -> int:
        """Machine's wall clock minus this clock: how far it jumped since the start."""
        return time.time_ns() // 1_000_000 - self.now_ms()


class ManualClock:
    """A clock that moves only when told to; for tests and simulation.

    >>> clock = ManualClock(1_000)
    >>> clock.sleep(2.5)
    >>> clock.now_ms()
    3500
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)

    def advance_to(self, now_ms: int) -> None:
        """Set the time; going back is allowed, as real clocks do."""
        self._now_ms = now_ms
