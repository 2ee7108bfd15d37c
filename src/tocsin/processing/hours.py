"""Hours of the week that spans of time fall into, on a device's own clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tocsin.processing.feedback import HOURS_A_WEEK
from tocsin.processing.timeline import Timeline

_HOUR_MS: Final = 3_600_000
_STEP_MS: Final = _HOUR_MS // 4  # no zone has begun its hours at anything but a quarter since 1972


def hours_of(spans: Iterable[tuple[int, int]], timeline: Timeline, device: int) -> set[int]:
    """Hours counted from Monday 0:00 local time, by the device's zone at each moment of the spans."""
    found: set[int] = set()
    for first_ms, last_ms in spans:
        if last_ms - first_ms >= HOURS_A_WEEK * _HOUR_MS:
            return set(range(HOURS_A_WEEK))
        for ts in (*range(first_ms, last_ms, _STEP_MS), last_ms):
            zone = int(timeline.zone[timeline.version_at(device, ts), device])
            hours = (ts + timeline.zones.offset_ms(zone, ts)) // _HOUR_MS
            found.add((hours // 24 + 3) % 7 * 24 + hours % 24)
    return found
