"""Local time, from the pinned tzdata package and never from the machine."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = (365 * 131 - 1) * 86_400
"""A day at the end of the year 2100; later stamps keep its offset, stamps before 1970 that of 1970."""


def local_offset_ms(zone: str, ts: int) -> int:
    """What to add to a stamp to get the local time of a zone."""
    return _offset_ms(zone, min(max(ts // 1000, 0), _LAST_S))


@cache
def _offset_ms(zone: str, epoch_s: int) -> int:
    offset = (_EPOCH + timedelta(seconds=epoch_s)).astimezone(_zone(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) * 1000


@cache
def _zone(name: str) -> ZoneInfo:
    with importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)
