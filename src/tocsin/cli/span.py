"""From when to when a simulation lasts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tocsin.errors import InvalidInputError

DEFAULT_START = "2026-01-05T00:00:00Z"  # a Monday


def span_of(start: str | None, days: float, *, ends_now: bool) -> tuple[int, int]:
    """First moment and the one after the last, in ms since 1970; `start` is RFC 3339."""
    length_ms = round(days * 86_400_000)
    if length_ms <= 0:
        raise InvalidInputError("--days must be more than 0", field="days")
    if start is None and ends_now:
        now_ms = time.time_ns() // 1_000_000
        return now_ms - length_ms, now_ms
    try:
        moment = datetime.fromisoformat(start or DEFAULT_START)
    except ValueError as error:
        raise InvalidInputError(f"--start: {error}; write it like {DEFAULT_START}", field="start") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    start_ms = round(moment.timestamp() * 1000)
    return start_ms, start_ms + length_ms
