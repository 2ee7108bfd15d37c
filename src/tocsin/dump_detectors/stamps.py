"""The time that a line of a log begins with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_STAMP: Final = re.compile(
    r"[\[(]?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def line_ms(text: str) -> int | None:
    """Milliseconds since 1970 UTC, None for a line that begins with no time; without a zone it is UTC.

    >>> line_ms("1970-01-01T00:00:01.5Z INFO start"), line_ms("[1970-01-01 01:00:00,25+01:00] x")
    (1500, 250)
    >>> line_ms("pump started"), line_ms("1970-02-30T00:00:00Z no such day")
    (None, None)
    """
    found = _STAMP.match(text)
    if found is None:
        return None
    try:
        stamp = datetime.fromisoformat(found[1])
        return ((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - _EPOCH) // _MS
    except (ValueError, OverflowError):
        return None
