"""Words for people: durations, and sentences about devices as a whole."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000))


def duration(span_ms: float) -> str:
    """A span in its largest whole unit and, where it matters, the next one.

    >>> duration(420_000), duration(90_000), duration(5_400_000), duration(100)
    ('7 minutes', '1 minute 30 seconds', '1 hour 30 minutes', 'less than a second')
    """
    rest = round(span_ms / 1000) * 1000
    words = []
    for name, length_ms in _UNITS:
        count, rest = divmod(rest, length_ms)
        if count:
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
        elif words:
            break
        if len(words) == 2:
            break
    return " ".join(words) or "less than a second"


def how_often(interval_ms: float) -> str:
    """In words, of what comes again after so long.

    >>> how_often(60_000), how_often(90_000), how_often(120_000), how_often(400)
    ('every minute', 'every 1 minute 30 seconds', 'every 2 minutes', 'several times a second')
    """
    words = duration(interval_ms)
    if words == duration(0):
        return "several times a second"
    return f"every {words.removeprefix('1 ') if words.count(' ') == 1 else words}"


def notice_sentence(
    reason: str,
    parameter: str,
    started_ms: int,
    ended_ms: int | None,
    at_ms: int,
    interval_ms: float,
    limit_ms: float,
) -> str:
    """One sentence about a silence, a missing parameter or a wrong clock, with its numbers."""
    if reason == "clock":
        if ended_ms is not None:
            return "its clock was ahead and is right again"
        return "its clock is ahead: records are stamped in the future and are kept, but not scored"
    silent_ms = (at_ms if ended_ms is None else ended_ms) - started_ms + limit_ms
    what = f"{parameter} is missing from its records" if reason == "missing" else "nothing was received"
    lasted = "was missing" if reason == "missing" else "was silent"
    usual = f"it usually comes {how_often(interval_ms)}"
    if ended_ms is not None:
        subject = parameter if reason == "missing" else "the device"
        return f"{subject} {lasted} for {duration(silent_ms)}; {usual}"
    return f"{what} for {duration(silent_ms)}; {usual}"
