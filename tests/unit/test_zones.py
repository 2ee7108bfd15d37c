"""Local hours are those of the device's own time zone, to the second at which clocks are set."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo
from zoneinfo._common import load_data

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import events_of, fleet, log_of
from tocsin.control import Control, Settings, SettingsChanged
from tocsin.errors import InvalidInputError
from tocsin.events import EventBatch
from tocsin.processing.batching import Events
from tocsin.processing.processor import History, process
from tocsin.processing.state import PartitionState
from tocsin.processing.zones import STEP_S, ZoneTable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = (
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
)
HOUR_MS = 3_600_000


def offset_ms(name: str, ts: int) -> int:
    """What Python's own zones say, from the same data."""
    with importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as stream:
        zone = ZoneInfo.from_file(stream, key=name)
    found = (EPOCH + timedelta(milliseconds=ts)).astimezone(zone).utcoffset()
    assert found is not None
    return round(found.total_seconds()) * 1000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("day", ["2023-10-28", "2024-03-30", "2024-04-06", "2024-03-09", "2024-11-02"])
def test_every_quarter_of_an_hour_of_a_change_has_its_offset(name: str, day: str) -> None:
    """On the days on which clocks are set, hours before and after it are told apart."""
    zones = ZoneTable()
    number = zones.number(name)
    start_ms = round(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp() * 1000)
    for ts in range(start_ms, start_ms + 60 * HOUR_MS, HOUR_MS // 4):
        assert zones.offset_ms(number, ts) == offset_ms(name, ts)


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(NAMES), ts=st.integers(0, 4_100_000_000_000))
def test_any_moment_has_its_offset(name: str, ts: int) -> None:
    """From 1970 to the end of 2099."""
    zones = ZoneTable()
    assert zones.offset_ms(zones.number(name), ts) == offset_ms(name, ts)


def test_no_zone_changes_twice_within_the_steps_in_which_changes_are_looked_for() -> None:
    """Or both would be missed. What is not in a zone's table is its rule, with two changes a year."""
    root = importlib.resources.files("tzdata.zoneinfo")
    names = importlib.resources.files("tzdata").joinpath("zones").read_text().split()
    assert len(names) > 500
    for name in names:
        with root.joinpath(*name.split("/")).open("rb") as stream:
            kinds, moments, offsets, *_ = load_data(stream)
        known = [(at, offsets[kind]) for at, kind in zip(moments, kinds, strict=True)]
        changes = [at for (at, now), (_, before) in pairwise(reversed(known)) if now != before and at > 0]
        assert all(later - earlier > STEP_S for later, earlier in pairwise(changes)), name


def test_a_device_abroad_has_its_own_hours() -> None:
    """A zone that settings name for a device acts for it alone, whether it is known by then or not."""
    abroad = Settings(timezone="Europe/Berlin", timezones={"pump-1": "Asia/Kathmandu"})
    change = SettingsChanged(tenant="t", effective_ms=0, settings=abroad)
    rows = fleet(1, devices=3, steps=60)
    orders: list[list[EventBatch | Control]] = [[change, events_of(rows)], [events_of(rows), change]]
    for contents in orders:
        state = PartitionState(0)
        process(log_of(contents), state, _NoHistory())
        timeline = state.tenants["t"].timeline
        found = {
            name: timeline.zone[-1, state.tenants["t"].device_number(name)]
            for name in sorted({row[0] for row in rows})
        }
        names = sorted(found)
        berlin, kathmandu = timeline.zones.number("Europe/Berlin"), timeline.zones.number("Asia/Kathmandu")
        assert [found[name] for name in names] == [
            kathmandu if name == "pump-1" else berlin for name in names
        ]


class _NoHistory(History):
    """Nothing is corrected here."""

    def __call__(self, tenant: str, device: str, before_offset: int) -> Events:
        raise AssertionError(f"{tenant}/{device} was asked for")


def test_a_name_that_is_none_is_refused() -> None:
    """Neither unknown names nor paths reach the file system."""
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(InvalidInputError):
            ZoneTable().number(name)
