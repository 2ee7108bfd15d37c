"""Where somebody's own devices stand: locations as one who is not to know of others sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.directory.abstract import DeviceList, Freshness, Location, Ownership

_WORSE: Final = (Freshness.FRESH, Freshness.STALE, Freshness.UNKNOWN)


def own_devices_at(own: DeviceList, location: str, *, after: str, limit: int) -> DeviceList:
    """Those of the devices that stand there, by name; unknown where none does, as of a place nobody named."""
    there = [each for each in own.devices if each.location == location]
    found = tuple(each for each in there if each.device > after)
    as_of_ms, freshness = _age(there)
    return DeviceList(devices=found[:limit], as_of_ms=as_of_ms, freshness=freshness, more=len(found) > limit)


def own_locations(own: DeviceList, *, after: str, limit: int) -> Sequence[Location]:
    """Places where one of the devices stands, by name, with how many of them do."""
    there: dict[str, list[Ownership]] = {}
    for each in own.devices:
        if each.location is not None and each.location > after:
            there.setdefault(each.location, []).append(each)
    return [_location(name, there[name]) for name in sorted(there)[:limit]]


def _location(name: str, there: Sequence[Ownership]) -> Location:
    as_of_ms, freshness = _age(there)
    return Location(name=name, devices=len(there), as_of_ms=as_of_ms or 0, freshness=freshness)


def _age(there: Sequence[Ownership]) -> tuple[int | None, Freshness]:
    """Those of the answer that says the least."""
    oldest_ms = min((each.as_of_ms for each in there if each.as_of_ms is not None), default=None)
    return oldest_ms, max((each.freshness for each in there), key=_WORSE.index, default=Freshness.UNKNOWN)
