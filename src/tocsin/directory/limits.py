"""How long what the directory says counts, and how much it is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLimits:
    """Ages in seconds; requests per known device and day, or per day if that is more.

    `soft_s`: older answers are stale, and a list is asked for a little before. `hard_s`: older ones no longer
    count. `again_s`: between two questions about a device that no list has.
    """

    soft_s: float = 900.0
    hard_s: float = 604_800.0
    again_s: float = 43_200.0
    at_once: int = 8
    requests_per_device_day: float = 2.5
    requests_per_day_min: float = 10_000.0
    rows_max: int = 400_000
    wanted_max: int = 1_000
