"""A window's spans are the stamps at which it is to hold, by a model that looks at one stamp at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proof.model.windows import Asked, Nights
from tocsin.services.maintenance_window import Covers, Wanted, Weekly, spans

WINTER_MS = 1_767_225_600_000  # the first of January 2026; no clock is put forward or back for weeks
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tokyo", "Pacific/Kiritimati")

minutes = st.integers(0, 1439)
stamps = st.integers(0, 20 * DAY_MS).map(lambda ms: WINTER_MS + ms)
nights = st.builds(
    Nights,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    from_minute=minutes,
    until_minute=minutes,
    zone=st.sampled_from(ZONES),
)


def wanted_of(asked: Asked) -> Wanted:
    """The same as the product is asked for it."""
    own, weekly = asked.nights, None
    if own is not None:
        weekly = Weekly(
            days=own.days, from_minute=own.from_minute, until_minute=own.until_minute, zone=own.zone
        )
    return Wanted(
        covers=Covers.DEVICE,
        name="pump-7",
        from_ms=asked.from_ms,
        until_ms=asked.until_ms,
        weekly=weekly,
    )


@given(
    asked=st.builds(
        Asked, from_ms=stamps, until_ms=st.one_of(st.none(), stamps), nights=st.one_of(st.none(), nights)
    ),
    from_ms=stamps,
    lasts_ms=st.integers(1, 14 * DAY_MS),
)
def test_spans_are_the_stamps_at_which_a_window_holds(asked: Asked, from_ms: int, lasts_ms: int) -> None:
    """At each of their edges and now and then between; within the time that is looked at."""
    until_ms = from_ms + lasts_ms
    found = spans(wanted_of(asked), from_ms, until_ms)
    edges = [ms for span in found for edge in span for ms in (edge - 1, edge)]
    for ts in (*range(from_ms, until_ms, 3 * HOUR_MS + MINUTE_MS), *edges):
        if from_ms <= ts < until_ms:
            assert any(first <= ts < below for first, below in found) is asked.holds(ts)
