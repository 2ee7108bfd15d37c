"""Revisions: match the episodes of a correction with those published before."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from tocsin.model import Episode
from tocsin.processing.episodes import cause, forget, is_underived, known_as, named
from tocsin.processing.retractions import retracted
from tocsin.processing.state import Known, TenantState


def revise(
    derived: list[Episode],
    scratch: TenantState,
    state: TenantState,
    device: int,
    numbers: dict[int, int],
    why: str,
) -> list[Episode]:
    """Revisions to publish: a changed episode keeps the id of the one it overlaps.

    The rest are new or, where nothing overlaps an old one, retracted, and `why` is said of them. `numbers`
    maps series of the scratch state to the live one. Updates what the live state knows.
    """
    newest = {episode.id: episode for episode in derived}
    fresh = [replace(item, series=numbers.get(item.series, -1)) for item in scratch.known.get(0, [])]
    before = state.known.get(device, [])
    kept = [item for item in before if is_underived(item)]
    candidates = [item for item in before if not is_underived(item)]
    found: list[Episode] = []
    for item in fresh:
        match = next((old for old in candidates if _overlap(old, item)), None)
        if match is None:
            episode = named(newest[item.id], candidates + kept, state, device)
            kept.append(known_as(episode, item.series, item.digest))
            found.append(episode)
            continue
        candidates.remove(match)
        if match.digest == item.digest:  # it covers every field of the last state
            kept.append(match)
            continue
        episode = msgspec.structs.replace(
            newest[item.id], id=match.id, application=match.application, revision=match.revision + 1
        )
        kept.append(known_as(episode, item.series, item.digest))
        found.append(episode)
    number = int(state.devices.rows[device]["stream"])
    version = state.streams[number][1] if state.streams else ""
    found += [forget(retracted(item, state, device, version, why), state, device) for item in candidates]
    state.known[device] = kept
    return found


def _overlap(old: Known, new: Known) -> bool:
    """Whether two spans of the same cause have a moment in common."""
    starts_in_time = new.end_ms is None or old.started_ms <= new.end_ms
    return (
        cause(old) == cause(new) and starts_in_time and (old.end_ms is None or new.started_ms <= old.end_ms)
    )
