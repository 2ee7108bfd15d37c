"""What a maintenance window means in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import InvalidInputError
from tocsin.services.maintenance_window import DAY_MS, Covers, Wanted, Weekly, check, spans

MINUTE_MS = 60_000
YEAR_2026_MS = 1_767_225_600_000
STEADY = ("UTC", "Asia/Kolkata", "Pacific/Auckland", "America/New_York", "Europe/Berlin")


def wanted(weekly: Weekly | None, from_ms: int, until_ms: int | None) -> Wanted:
    return Wanted(covers=Covers.DEVICE, name="pump-7", from_ms=from_ms, until_ms=until_ms, weekly=weekly)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def says(weekly: Weekly, ms: int) -> bool:
    """Whether the clock on the wall lies within the window; the definition, where no clock is changed."""
    local = datetime.fromtimestamp(ms / 1000, ZoneInfo(weekly.zone))
    minute, day = local.hour * 60 + local.minute, local.weekday()
    if weekly.from_minute < weekly.until_minute:
        return day in weekly.days and weekly.from_minute <= minute < weekly.until_minute
    begun = day in weekly.days and minute >= weekly.from_minute
    return begun or ((day - 1) % 7 in weekly.days and minute < weekly.until_minute)


def changes(zone: str, ms: int) -> bool:
    """Whether clocks are put forward or back within two days of a moment."""
    near = (ms + hours * 3_600_000 for hours in range(-48, 49))
    return len({datetime.fromtimestamp(each / 1000, ZoneInfo(zone)).utcoffset() for each in near}) > 1


@settings(deadline=None, max_examples=60)
@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    minutes=st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
    zone=st.sampled_from(STEADY),
    begin=st.integers(0, 365 * 24 * 60),
    looks=st.lists(st.integers(0, 14 * 24 * 60), min_size=1, max_size=30),
)
def test_what_repeats_holds_when_the_clock_on_the_wall_says_so(
    days: set[int], minutes: tuple[int, int], zone: str, begin: int, looks: list[int]
) -> None:
    """In every zone and at every time of the year; where clocks are changed it is longer, never shorter."""
    weekly = Weekly(days=tuple(sorted(days)), from_minute=minutes[0], until_minute=minutes[1], zone=zone)
    from_ms = YEAR_2026_MS + begin * MINUTE_MS
    found = spans(wanted(weekly, from_ms, None), from_ms, from_ms + 14 * DAY_MS)
    assert all(first < below for first, below in found)
    assert all(below < first for (_, below), (first, _) in pairwise(found))
    for look in looks:
        ms = from_ms + min(look * MINUTE_MS, 14 * DAY_MS - 1)
        holds = any(first <= ms < below for first, below in found)
        assert holds or not says(weekly, ms)
        assert says(weekly, ms) or not holds or changes(zone, ms)


@pytest.mark.parametrize(
    ("day", "clock", "span"),
    [
        ("2026-03-28", (150, 210), ("2026-03-29T00:30", "2026-03-29T01:30")),
        ("2026-10-24", (150, 165), ("2026-10-25T00:30", "2026-10-25T01:45")),
    ],
    ids=["a time that there is not", "a time that there is twice"],
)
def test_where_clocks_are_changed_a_window_is_longer(
    day: str, clock: tuple[int, int], span: tuple[str, str]
) -> None:
    """From the first moment that may be meant up to the last."""
    weekly = Weekly(days=(6,), from_minute=clock[0], until_minute=clock[1], zone="Europe/Berlin")
    from_ms = at(f"{day}T00:00")
    assert spans(wanted(weekly, from_ms, None), from_ms, from_ms + 3 * DAY_MS) == (
        (at(span[0]), at(span[1])),
    )


def test_days_that_touch_are_one_span() -> None:
    """All week from midnight to midnight is all the time, from the window's beginning to its end."""
    weekly = Weekly(days=tuple(range(7)), from_minute=0, until_minute=0, zone="UTC")
    from_ms, until_ms = YEAR_2026_MS + 5 * MINUTE_MS, YEAR_2026_MS + 3 * DAY_MS
    own = wanted(weekly, from_ms, until_ms)
    assert spans(own, from_ms, YEAR_2026_MS + 14 * DAY_MS) == ((from_ms, until_ms),)
    assert spans(own, until_ms, until_ms + DAY_MS) == ()


def test_what_holds_once_is_its_own_span_where_it_is_touched() -> None:
    """As a whole, however short the time that is asked about."""
    own = wanted(None, YEAR_2026_MS, YEAR_2026_MS + DAY_MS)
    assert spans(own, YEAR_2026_MS + 5, YEAR_2026_MS + 6) == ((YEAR_2026_MS, YEAR_2026_MS + DAY_MS),)
    assert spans(own, YEAR_2026_MS + DAY_MS, YEAR_2026_MS + 2 * DAY_MS) == ()
    assert spans(own, YEAR_2026_MS - DAY_MS, YEAR_2026_MS) == ()


def test_what_repeats_but_would_never_hold_is_refused() -> None:
    """Asked for on a Monday, each Saturday, up to the evening: somebody left the end as the form had it."""
    saturdays = Weekly(days=(5,), from_minute=22 * 60, until_minute=2 * 60, zone="UTC")
    monday = at("2026-11-30T20:23:00")
    with pytest.raises(InvalidInputError, match="None of these days") as refused:
        check(wanted(saturdays, monday, at("2026-11-30T22:23:00")), monday)
    assert refused.value.field == "to"
    check(wanted(saturdays, monday, at("2026-12-05T22:01:00")), monday)
    check(wanted(saturdays, monday, at("2026-12-09T00:00:00")), monday)
    check(wanted(saturdays, monday, None), monday)
