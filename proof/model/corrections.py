"""Corrections: docs/explanation/ordering-and-late-data.md, "Corrections"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from proof.model.device import Device, Taken
from proof.model.digest import Key, raw_hash
from proof.model.episodes import Episode, Ledger
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
    fresh.feedback = live.feedback
    fresh.maintenance = live.maintenance
    derived = [(event, fresh.take(event, quarantined=quarantined(event.offset))) for event in kept]
    fresh.clock = live.clock
    fresh.too_late, fresh.stream = live.too_late, live.stream
    fresh.said_first, fresh.underived_rows = live.said_first, live.underived_rows
    fresh.said.put(fresh.key, fresh.underived_rows)
    for key, ts, value in apart:
        fresh.raw.put(key, raw_hash(key, ts, value))
    _still_silent(live, fresh)
    fresh.series = {key: fresh.series.get(key, series) for key, series in live.series.items()}
    return Corrected(fresh, derived, _revise(live, fresh))


def _split(
    events: list[Event], quarantined: Callable[[int], bool]
) -> tuple[list[Event], list[tuple[Key, int, float]]]:
    """Events that take part in order of time, with the readings that do; and the readings that do not."""
    kept: list[Event] = []
    apart: list[tuple[Key, int, float]] = []
    bound = _Bound()
    for event in events:
        own = bound.in_time(event, quarantined=quarantined(event.offset))
        apart += [
            (Key(event.tenant, event.application, event.device, name), event.ts, value)
            for name, value in event.readings
            if own is None or (name, value) not in own
        ]
        if own is not None:
            whole = len(own) == len(event.readings)
            kept.append(event if whole else replace(event, readings=tuple(own)))
    return sorted(kept, key=lambda event: event.ts), apart


@dataclass(slots=True)
class _Bound:
    """What lies more than 30 days behind, in the order of the log."""

    newest: dict[tuple[str, str], int] = field(default_factory=dict)
    newest_of_device: int = NEVER_MS

    def in_time(self, event: Event, *, quarantined: bool) -> list[tuple[str, float]] | None:
        """The readings that are in time; None for an event that takes no part."""
        if event.clock_wrong:
            return None
        if quarantined or not event.readings:
            own = list(event.readings)
            if self.newest_of_device - event.ts > LATE_MAX_MS:
                return None
        else:
            own = [reading for reading in event.readings if self._judged_in_time(event, reading[0])]
            if not own:
                return None
        self.newest_of_device = max(self.newest_of_device, event.ts)
        return own

    def _judged_in_time(self, event: Event, parameter: str) -> bool:
        newest = self.newest.get((event.application, parameter), NEVER_MS)
        if newest - event.ts > LATE_MAX_MS:
            return False
        self.newest[event.application, parameter] = max(newest, event.ts)
        return True


def _still_silent(live: Device, fresh: Device) -> None:
    """A silence that a tick has revealed lasts, unless its limit has moved beyond what that tick showed."""
    if live.silent:
        (open_now,) = (old for old in live.ledger.known if old.reason == "silent" and old.end_ms is None)
        fresh.tick(live.maintenance.again_ms(open_now.started_ms) + 1)


def _revise(live: Device, fresh: Device) -> list[Episode]:
    """Match what was derived with what was published before; the revisions, and what is known from now on."""
    known = [old for old in live.ledger.known if old.underived]
    before = [old for old in live.ledger.known if not old.underived]
    found: list[Episode] = []
    for item in fresh.ledger.known:
        match = next((old for old in before if _overlap(old, item)), None)
        if match is None:
            known.append(live.ledger.named(item, before + known))
            found.append(known[-1])
            continue
        before.remove(match)
        if match.digest() == item.digest():
            known.append(match)
            continue
        known.append(replace(item, id=match.id, application=match.application, revision=match.revision + 1))
        found.append(known[-1])
    found += [live.ledger.retract(old, fresh.stream[1]) for old in before]
    fresh.ledger = Ledger(known, live.ledger.gone)
    return found


def _overlap(one: Episode, other: Episode) -> bool:
    """Whether two of the same cause have a moment in common."""
    if one.cause != other.cause:
        return False
    return _begins(one, other.end_ms) and _begins(other, one.end_ms)


def _begins(episode: Episode, end_ms: int | None) -> bool:
    return end_ms is None or episode.started_ms <= end_ms
