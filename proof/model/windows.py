"""When a maintenance window is to hold that somebody has asked for: docs/how-to/maintain.md, "Each week"."""

from __future__ import annotations

from dataclasses import dataclass

from proof.model.zones import local_offset_ms

MINUTE_MS = 60_000
DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Nights:
    """Days of the week, 0 = Monday, from one minute of the local day to another, perhaps of the day after."""

    days: tuple[int, ...]
    from_minute: int
    until_minute: int
    zone: str


@dataclass(frozen=True, slots=True)
class Asked:
    """From a stamp up to another, without end where there is none; within that on some nights alone.

    Nobody is alerted, or nothing learnt, or both.
    """

    from_ms: int
    until_ms: int | None
    nights: Nights | None = None
    no_alert: bool = True
    no_learn: bool = False
    why: str = ""

    def holds(self, ts: int) -> bool:
        """Whether it is to hold at a stamp; not for when clocks are put forward or back."""
        if ts < self.from_ms or (self.until_ms is not None and ts >= self.until_ms):
            return False
        return self.nights is None or _at_night(self.nights, ts)


def _at_night(nights: Nights, ts: int) -> bool:
    minutes = (ts + local_offset_ms(nights.zone, ts)) // MINUTE_MS
    day, minute = (minutes // DAY_MINUTES + 3) % 7, minutes % DAY_MINUTES
    if nights.from_minute < nights.until_minute:
        return day in nights.days and nights.from_minute <= minute < nights.until_minute
    began_today = day in nights.days and minute >= nights.from_minute
    return began_today or ((day - 1) % 7 in nights.days and minute < nights.until_minute)
