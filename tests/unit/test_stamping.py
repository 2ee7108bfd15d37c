"""Stamping: ingest's clock decides what is live and whose clock is wrong."""

from __future__ import annotations

import pytest

from tests.kit import events_of
from tocsin.ingest.stamping import clock_warnings, stamp, stamped_in_seconds, unit_warnings
from tocsin.model import Flag

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("ahead_ms", "flags"),
    [
        (0, Flag.LIVE),
        (-10 * MINUTE_MS, Flag.LIVE),
        (-10 * MINUTE_MS - 1, 0),
        (5 * MINUTE_MS, Flag.LIVE),
        (5 * MINUTE_MS + 1, Flag.LIVE | Flag.CLOCK_WRONG),
        (10 * MINUTE_MS + 1, Flag.CLOCK_WRONG),
    ],
)
def test_flags_follow_the_distance_to_arrival(ahead_ms: int, flags: int) -> None:
    """Live within 10 minutes on either side; a clock is wrong beyond 5 minutes in the future."""
    batch, wrong = stamp(events_of([("d", NOW_MS + ahead_ms, {"x": 1.0})]), NOW_MS)
    assert batch.flags.tolist() == [flags]
    assert wrong.tolist() == ([0] if flags & Flag.CLOCK_WRONG else [])


def test_limits_can_be_set() -> None:
    """A tenant with slow transports may widen what is live and what is still a right clock."""
    events = events_of([("d", NOW_MS + 2_000, {}), ("d", NOW_MS - 2_000, {})])
    batch, wrong = stamp(events, NOW_MS, live_ms=1_000, skew_ms=1_000)
    assert batch.flags.tolist() == [Flag.CLOCK_WRONG, 0]
    assert wrong.tolist() == [0]


def test_one_wrong_clock_touches_no_other_event_and_is_told() -> None:
    """The warning names the line and how far the clock is ahead; nothing is taken out of the batch."""
    events = events_of([("a", NOW_MS, {"x": 1.0}), ("b", NOW_MS + 3_600_000, {"x": 2.0})])
    batch, wrong = stamp(events, NOW_MS)
    (warning,) = clock_warnings(batch, batch.stream + 7, wrong, NOW_MS)
    assert len(batch) == 2
    assert (warning.line, warning.code.value, warning.field) == (7, "clock_skew", "ts")
    assert "3600 s in the future" in warning.detail


def test_a_stamp_in_seconds_is_told() -> None:
    """The commonest mistake would else put every event into January 1970, where nobody looks for it."""
    seconds = NOW_MS // 1000
    events = events_of(
        [("a", NOW_MS, {"x": 1.0}), ("b", seconds, {"x": 2.0}), ("c", 1, {}), ("d", -seconds, {})]
    )
    rows = stamped_in_seconds(events)
    (warning,) = unit_warnings(events, events.stream + 7, rows)
    assert rows.tolist() == [1]
    assert (warning.line, warning.code.value, warning.field) == (7, "seconds_sent", "ts")
    assert "is 1970-01-20 in milliseconds, but 2023-11-14 in seconds. Send milliseconds" in warning.detail
