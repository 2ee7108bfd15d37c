"""The way of every reading, live or derived again: resolve, order, score, fold."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.events import I64, U8, EventBatch
from tocsin.model import Episode
from tocsin.processing.batching import Events
from tocsin.processing.episodes import Source, episodes_of_notices, episodes_of_turns
from tocsin.processing.ordering import Ordered, order
from tocsin.processing.policies import fold
from tocsin.processing.resolving import Resolved, resolve
from tocsin.processing.scoring import Gathered, Verdicts, gather, score
from tocsin.processing.state import TenantState


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch with the status of each of its readings and each detector's verdicts."""

    tenant: str
    offsets: I64
    batch: EventBatch
    resolved: Resolved
    status: U8
    verdicts: tuple[Verdicts, ...]


def judge(events: Events, state: TenantState, source: Source) -> tuple[Judged, Ordered, list[Episode]]:
    """Judge one batch of a tenant; the tenant's state is changed in place."""
    batch = events.batch
    resolved = resolve(batch, state)
    ordered = order(batch, resolved, state)
    episodes = episodes_of_notices(ordered.notices, state, source)
    gathered: dict[bytes, Gathered] = {}  # by the versions of the settings that run the detector
    verdicts = []
    for slot in state.slots.values():
        versions = slot.enabled.tobytes()
        if versions not in gathered:
            gathered[versions] = gather(batch, resolved, ordered, slot, state)
        found = score(gathered[versions], slot)
        turns = fold(found.gathered, found.scores, slot, state)
        episodes += episodes_of_turns(turns, found.gathered, slot, state, source)
        slot.settle()
        verdicts.append(found)
    judged = Judged(events.tenant, events.offsets, batch, resolved, ordered.status, tuple(verdicts))
    return judged, ordered, episodes
