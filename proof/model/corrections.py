"""Corrections: docs/explanation/ordering-and-late-data.md, "Corrections"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from proof.model.device import Device, Taken
from proof.model.digest import Key, raw_hash
from proof.model.episodes import Episode, Ledger, retracted
from proof.model.ordering import LATE_MAX_MS
from proof.model.records import NEVER_MS, Event


@dataclass(slots=True)
class Corrected:
    """The device as it is now, what was derived (event by event), and the revisions to publish."""

    device: Device
    derived: list[tuple[Event, Taken]]
    revisions: list[Episode]


def correct(live: Device, events: list[Event], quarantined: Callable[[int], bool]) -> Corrected:
    """Derive a device again from its events, given in the order of the log."""
    kept, apart = _split(events, quarantined)
    fresh = Device(live.tenant, live.name, live.rules)
    derived = [(event, fresh.take(event, quarantined=quarantined(event.offset))) for event in kept]
    published = [episode for _, taken in derived for episode in taken.episodes]
    fresh.clock = live.clock
    fresh.too_late, fresh.stream = live.too_late, live.stream
    fresh.said_first, fresh.clock_rows = live.said_first, live.clock_rows
    fresh.said.put(fresh.key, fresh.clock_rows)
    for key, ts, value in apart:
        fresh.raw.put(key, raw_hash(key, ts, value))
    published += _still_silent(live, fresh)
    fresh.series = {key: fresh.series.get(key, series) for key, series in live.series.items()}
    return Corrected(fresh, derived, _revise(live, fresh, published))


def _split(
    events: list[Event], quarantined: Callable[[int], bool]
) -> tuple[list[Event], list[tuple[Key, int, float]]]:
    """Events in order of time without what never takes part, and the readings that do not."""
    kept: list[Event] = []
    apart: list[tuple[Key, int, float]] = []
    newest: dict[tuple[str, str], int] = {}
    for event in events:
        readings = []
        for name, value in event.readings:
            series = (event.application, name)
            behind_ms = newest.get(series, NEVER_MS) - event.ts
            judged = not event.clock_wrong and not quarantined(event.offset)
            if event.clock_wrong or (judged and behind_ms > LATE_MAX_MS):
                apart.append((Key(event.tenant, event.application, event.device, name), event.ts, value))
                continue
            readings.append((name, value))
            if judged:
                newest[series] = max(newest.get(series, NEVER_MS), event.ts)
        if not event.clock_wrong:
            kept.append(replace(event, readings=tuple(readings)))
    return sorted(kept, key=lambda event: event.ts), apart


def _still_silent(live: Device, fresh: Device) -> list[Episode]:
    """A silence that a tick has revealed lasts, unless its limit has moved beyond what that tick showed."""
    if not live.silent:
        return []
    (open_now,) = (old for old in live.ledger.known if old.reason == "silent" and old.end_ms is None)
    return fresh.tick(open_now.started_ms + 1)


def _revise(live: Device, fresh: Device, published: list[Episode]) -> list[Episode]:
    """Match what was derived with what was published before; the revisions, and what is known from now on."""
    newest = {episode.id: episode for episode in published}
    known = [old for old in live.ledger.known if old.reason == "clock"]
    before = [old for old in live.ledger.known if old.reason != "clock"]
    found: list[Episode] = []
    for item in fresh.ledger.known:
        match = next((old for old in before if _overlap(old, item)), None)
        if match is None:
            known.append(item)
            found.append(newest[item.id])
            continue
        before.remove(match)
        if match.digest() == item.digest():
            known.append(match)
            continue
        known.append(replace(item, id=match.id, revision=match.revision + 1))
        found.append(known[-1])
    fresh.ledger = Ledger(known)
    return found + [retracted(old, fresh.stream) for old in before]


def _overlap(one: Episode, other: Episode) -> bool:
    """Whether two of the same cause have a moment in common."""
    if one.cause != other.cause:
        return False
    return _begins(one, other.end_ms) and _begins(other, one.end_ms)


def _begins(episode: Episode, end_ms: int | None) -> bool:
    return end_ms is None or episode.started_ms <= end_ms
