"""From when to when a simulation lasts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from tocsin.cli.output import note
from tocsin.errors import InvalidInputError

DEFAULT_START = "2026-01-05T00:00:00Z"  # a Monday
_DAY_MS = 86_400_000
_LONGEST_MS = 36_525 * _DAY_MS
_RATE_MAX = 10_000
_LAST_MS = 7_258_118_400_000  # the year 2200


def span_of(start: str | None, days: float, *, ends_now: bool) -> tuple[int, int]:
    """First moment and the one after the last, in ms since 1970; `start` is RFC 3339."""
    if not 1 <= days * _DAY_MS <= _LONGEST_MS:
        raise InvalidInputError("--days or --hours must be more than 0, and a century at most", field="days")
    length_ms = round(days * _DAY_MS)
    if start is None and ends_now:
        now_ms = time.time_ns() // 1_000_000
        return now_ms - length_ms, now_ms
    try:
        moment = datetime.fromisoformat(start or DEFAULT_START)
    except ValueError as error:
        raise InvalidInputError(f"--start: {error}; write it like {DEFAULT_START}", field="start") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    start_ms = round(moment.timestamp() * 1000)
    if not 0 <= start_ms <= _LAST_MS - length_ms:
        raise InvalidInputError("a simulation lies between the years 1970 and 2200", field="start")
    return start_ms, start_ms + length_ms


def behind(start_ms: int, amount: float, unit_ms: int, option: str) -> int:
    """The moment so many units behind another one; InvalidInputError where that is no length of time."""
    if not 0 <= amount * unit_ms <= _LONGEST_MS:
        raise InvalidInputError(f"--{option} must be 0 or more, and a century at most", field=option)
    return start_ms + round(amount * unit_ms)


def require_rate(rate: float, option: str) -> None:
    """InvalidInputError unless so many faults can be meant."""
    if not 0 <= rate <= _RATE_MAX:
        raise InvalidInputError(f"--{option} must be 0 to {_RATE_MAX:,}", field=option)


def note_kinds_without_room(asked: Iterable[str], planned: Iterable[str], advice: str) -> None:
    """Say on stderr which kinds of faults were asked for and got none, and what would make room."""
    missing = sorted(set(asked) - set(planned))
    if missing:
        note(f"no room for {', '.join(missing)}: {advice}")
