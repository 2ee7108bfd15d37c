"""Time stamps of events: RFC 3339 texts and epoch milliseconds."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

TS_MIN_MS: Final = -62_135_596_800_000
"""0001-01-01T00:00:00Z: earlier stamps are refused, since calendars of common tools begin there."""

TS_MAX_MS: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""

_EPOCH_DAY: Final = dt.date(1970, 1, 1).toordinal()
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def parse_rfc3339(text: str) -> int | None:
    """Milliseconds since 1970 UTC, digits beyond them cut off (towards the past); None if it is no stamp.

    >>> parse_rfc3339("1969-12-31T23:59:59.9999Z"), parse_rfc3339("1970-01-01T01:00:00+01:00")
    (-1, 0)
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hour, offset_minute = match.groups()[6:]
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    offset_min = int(offset_hour or 0) * 60 + int(offset_minute or 0)
    if hour > 23 or minute > 59 or second > 59 or offset_min > 1439 or int(offset_minute or 0) > 59:
        return None
    minutes = (days * 24 + hour) * 60 + minute - (-offset_min if sign == "-" else offset_min)
    return in_range((minutes * 60 + second) * 1000 + int((fraction or "0")[:3].ljust(3, "0")))


def in_range(ts_ms: int) -> int | None:
    """The stamp itself, or None outside the years 1 … 9999."""
    return ts_ms if TS_MIN_MS <= ts_ms <= TS_MAX_MS else None
