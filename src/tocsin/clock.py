"""Time is passed in, so that it can be tested; nothing else in Tocsin reads a clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from tocsin.errors import InvalidInputError

FIRST_MS: Final = -62_135_596_800_000
LAST_MS: Final = 253_402_300_799_999
"""The years 1 to 9999, which are all that calendars of common tools know."""

_EPOCH_MS: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_COUNTS_SLEEP: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


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


def steady_ns() -> int:
    """Nanoseconds since the machine was started, sleep included where the system can count it.

    Linux stops its monotonic clock while the machine is suspended: afterwards every device would seem to be
    ahead by as long as it slept. The clocks of macOS and Windows that Python calls monotonic have no
    counterpart to choose.
    """
    return time.monotonic_ns() if _COUNTS_SLEEP is None else time.clock_gettime_ns(_COUNTS_SLEEP)


class SystemClock:
    """Wall time taken once at the start and advanced by a clock that never jumps, but counts sleep.

    A jump of the machine's clock therefore never changes the order of what is stamped here;
    `drift_ms` tells how far the machine's clock has moved away, so that it can raise an alarm. `wall_ns`
    and `steady` can be given by tests.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady: Callable[[], int] = steady_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady
        self._wall_start_ms = wall_ns() // 1_000_000
        self._steady_start_ns = steady()

    def now_ms(self) -> int:
        return self._wall_start_ms + (self._steady_ns() - self._steady_start_ns) // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def drift_ms(self) -> int:
        """Machine's wall clock minus this clock: how far it jumped since the start."""
        return self._wall_ns() // 1_000_000 - self.now_ms()


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


def parse_time(text: str, field: str) -> int:
    """Milliseconds since 1970 from RFC 3339 or from milliseconds; InvalidInputError for anything else.

    Also for what is beyond the years 1 to 9999.

    >>> parse_time("2026-11-22T10:00:00.250Z", "from")
    1795341600250
    >>> parse_time("-5", "from")
    -5
    """
    ms = int(text) if _EPOCH_MS.fullmatch(text) else _rfc3339_ms(text)
    if ms is None or not FIRST_MS <= ms <= LAST_MS:
        raise InvalidInputError(
            "A time is RFC 3339 with an offset, such as 2026-11-22T10:00:00Z, or milliseconds since 1970, "
            "and in the years 1 to 9999.",
            field=field,
        )
    return ms


def _rfc3339_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or "T" not in text.upper():
        return None
    return round(moment.timestamp() * 1000)
