"""The way of every reading, live or derived again: resolve, order, score, fold."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.events import I64, U8, EventBatch
from tocsin.model import Episode
from tocsin.processing.batching import Events
from tocsin.processing.episodes import Draft, Source, Withdrawal, drafts_of_notices, drafts_of_turns, publish
from tocsin.processing.ordering import Ordered, order
from tocsin.processing.resolving import Resolved, resolve
from tocsin.processing.scoring import Verdicts, follow
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


def judge(events: Events, state: TenantState, partition: int) -> tuple[Judged, Ordered, list[Episode]]:
    """Judge one batch of a tenant; the tenant's state is changed in place."""
    batch = events.batch
    resolved = resolve(batch, state)
    ordered = order(batch, resolved, state)
    source = Source(partition, events.offsets, resolved.stream)
    drafts: list[Draft | Withdrawal] = [*drafts_of_notices(ordered.notices, state, source)]
    verdicts = []
    for slot in state.slots.values():
        found, turns = follow(ordered.scored, slot, state)
        for part in turns:
            drafts += drafts_of_turns(part.rows, part.gathered, slot, state, source)
        slot.settle()
        verdicts.append(found)
    judged = Judged(events.tenant, events.offsets, batch, resolved, ordered.status, tuple(verdicts))
    return judged, ordered, publish(drafts, state)
