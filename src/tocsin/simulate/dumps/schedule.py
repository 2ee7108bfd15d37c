"""When devices send their dumps: often by day, seldom by night, by the clock on the wall."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tocsin.errors import InvalidInputError

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_QUARTER_MS: Final = 900_000
_MS: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `day_from_h` to `day_to_h` (local hours) a dump every `day_every_s`, else every `night_every_s`.

    Each device is late by a time of its own, up to `spread_s`, and by up to `jitter_s` that is drawn for
    every dump; 0 for both has all devices of a time zone send at once, on the stroke of the clock.
    """

    day_from_h: int = 6
    day_to_h: int = 18
    day_every_s: int = 1800
    night_every_s: int = 6 * 3600
    spread_s: int = 1500
    jitter_s: int = 60

    def __post_init__(self) -> None:
        if not 0 <= self.day_from_h < self.day_to_h <= 24:
            raise InvalidInputError("the day must begin before it ends, within 0 to 24", field="day_from_h")
        if min(self.day_every_s, self.night_every_s) < 60:
            raise InvalidInputError("a minute is the shortest time between two dumps", field="day_every_s")
        if min(self.spread_s, self.jitter_s) < 0 or self.spread_s + self.jitter_s >= self.day_every_s:
            raise InvalidInputError(
                "spread_s and jitter_s together must be less than day_every_s, or dumps overtake themselves",
                field="spread_s",
            )

    def slots_ms(self, zone: str, from_ms: int, to_ms: int) -> list[int]:
        """The moments in [from, to) at which a device that is never late sends, ascending."""
        found = {
            slot
            for day in _days(from_ms - 2 * DAY_MS, to_ms + 2 * DAY_MS)
            for slot in self._of_day(day, zone)
            if from_ms <= slot < to_ms
        }
        return sorted(found)

    def _of_day(self, day: date, zone: str) -> list[int]:
        begin_s, end_s = self.day_from_h * 3600, self.day_to_h * 3600
        by_day = range(begin_s, end_s, self.day_every_s)
        by_night = range(end_s, begin_s + 86_400, self.night_every_s)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone_of(zone))
        return [
            (midnight + timedelta(seconds=second) - _EPOCH) // _MS for second in (*by_day, *by_night)
        ]  # wall clock: on the day on which clocks are set, a slot keeps its local time


@cache
def zone_of(name: str) -> ZoneInfo:
    """A zone of the pinned tzdata package, never of the machine, so that a seed means the same everywhere."""
    place = importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/"))
    with place.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


def offset_ms(zone: str, at_ms: int) -> int:
    """What a zone's local time is ahead of UTC.

    >>> offset_ms("Asia/Kathmandu", 0) // 60_000
    330
    """
    return _offset_ms(zone, at_ms // _QUARTER_MS)


@lru_cache(maxsize=1 << 16)
def _offset_ms(zone: str, quarter: int) -> int:
    """Clocks are set on the quarter of an hour, everywhere and always since 1972."""
    local = (_EPOCH + timedelta(milliseconds=quarter * _QUARTER_MS)).astimezone(zone_of(zone)).utcoffset()
    return (local or timedelta()) // _MS


def _days(from_ms: int, to_ms: int) -> list[date]:
    first = (_EPOCH + from_ms * _MS).date()
    return [first + timedelta(days=number) for number in range((to_ms - from_ms) // DAY_MS + 1)]
