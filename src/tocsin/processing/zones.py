"""Time zones as columns: the moments at which a zone's offset from UTC changes.

Taken from the pinned tzdata package, never from the machine, so that the same log gives the same local
hours everywhere.
"""

from __future__ import annotations

import importlib.resources
from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.events import I32, I64

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = 365 * 131  # to the year 2101; later stamps keep the last offset
STEP_S: Final = 6 * 86_400
"""No zone has ever changed its offset twice within less than 6.9 days; a test looks at all of them."""


class ZoneTable:
    """Zones by number; zone 0 is UTC. Rows `start[zone] … start[zone+1]` of `from_ms`, `offset` are its.

    >>> zones = ZoneTable()
    >>> zones.number("Europe/Berlin")
    1
    >>> zones.offset_ms(1, 1_700_000_000_000) // 3_600_000
    1
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.start: I32 = np.zeros(1, np.int32)
        self.from_ms: I64 = np.zeros(0, np.int64)
        self.offset: I32 = np.zeros(0, np.int32)
        self.number("UTC")

    def number(self, name: str) -> int:
        """The number of a zone, loading it when new; InvalidInputError if there is no such zone."""
        known = self._numbers.get(name)
        if known is not None:
            return known
        from_ms, offset = _transitions(name)
        self.from_ms = np.append(self.from_ms, np.array(from_ms, np.int64))
        self.offset = np.append(self.offset, np.array(offset, np.int32))
        self.start = np.append(self.start, np.int32(len(self.offset)))
        self._numbers[name] = len(self._numbers)
        return self._numbers[name]

    def offset_ms(self, zone: int, ts: int) -> int:
        """What to add to a UTC stamp to get the zone's local time."""
        first, last = self.start[zone], self.start[zone + 1]
        row = bisect_right(self.from_ms[first:last].tolist(), ts) - 1
        return int(self.offset[first + max(row, 0)])


def load_zone(name: str) -> ZoneInfo:
    parts = name.split("/")
    if not all(part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        raise InvalidInputError(f"{name!r} is not the name of a time zone", field="timezone")
    resource = importlib.resources.files("tzdata.zoneinfo").joinpath(*parts)
    if not resource.is_file():
        raise InvalidInputError(
            f"there is no time zone {name!r}; use a name such as Europe/Berlin", field="timezone"
        )
    with resource.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


@lru_cache(maxsize=1024)
def _transitions(name: str) -> tuple[list[int], list[int]]:
    """Offsets step by step, and where two steps differ the second at which it changed, by bisection."""
    zone = load_zone(name)
    offset = _offset_s(zone, 0)
    from_ms, offsets = [-(1 << 62)], [offset * 1000]
    for step_s in range(STEP_S, _DAYS * 86_400, STEP_S):
        following = _offset_s(zone, step_s)
        if following != offset:
            low, high = step_s - STEP_S, step_s
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset_s(zone, middle) == offset else (low, middle)
            from_ms.append(high * 1000)
            offsets.append(following * 1000)
            offset = following
    return from_ms, offsets


def _offset_s(zone: tzinfo, epoch_s: int) -> int:
    moment = (_FIRST + timedelta(seconds=epoch_s)).astimezone(zone)
    return int((moment.utcoffset() or timedelta()).total_seconds())
