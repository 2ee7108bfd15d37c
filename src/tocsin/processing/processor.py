"""The heart: a pure function from log records and state to state, verdicts and episodes.

Nothing else decides a verdict. Runtimes feed it and commit what it returns; however the log is cut into
calls, the result is the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tocsin.control import (
    Correct,
    DictionaryTaken,
    DumpDecision,
    DumpDetectorFailed,
    DumpReceived,
    FeedbackGiven,
    GapGivenUp,
    MaintenanceSet,
    Quarantine,
    SettingsChanged,
    Tick,
)
from tocsin.log.abstract import Record
from tocsin.model import Episode, Status
from tocsin.processing import controls
from tocsin.processing.batching import Decision, Events, batches, without_log_lines
from tocsin.processing.controls import Applied
from tocsin.processing.corrections import Correction, correct
from tocsin.processing.dump_gaps import publish_gap
from tocsin.processing.dump_order import Moved
from tocsin.processing.dump_silence import hear, reveal
from tocsin.processing.judging import Judged, judge
from tocsin.processing.ordering import Ordered
from tocsin.processing.retractions import BY_PEOPLE, BY_RECORDS
from tocsin.processing.state import PartitionState, TenantState
from tocsin.processing.timeline import FAR_MS
from tocsin.sharding import shard_of


class History(ABC):
    """Where corrections find what a device has sent so far."""

    @abstractmethod
    def __call__(self, tenant: str, device: str, before_offset: int) -> Events:
        """The device's events below that offset, in the order of the log."""

    def of_devices(
        self, tenant: str, devices: Sequence[str], before_offset: int
    ) -> Iterator[tuple[str, Events]]:
        """Those of several devices, one after another in the order given."""
        return ((device, self(tenant, device, before_offset)) for device in devices)


@dataclass(slots=True)
class Output:
    """What came of some records, in their order."""

    episodes: list[Episode] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    dumps: list[Moved] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def process(
    records: Sequence[Record], state: PartitionState, history: History, applied: Applied | None = None
) -> Output:
    """Apply `records`, which start at `state.position` or below, to `state`, and say what came of them.

    `state` is consumed: it is changed in place and is the new state on return. `history` is asked only
    by corrections. `applied` is given while replaying behind checkpoints: what a shard's state already
    has is passed over.
    """
    output = Output()
    for item in batches(records):
        if isinstance(item, Decision):
            _reach(item.offset, state, applied)
            _decide(item, state, history, applied, output)
        else:
            _reach(int(item.offsets[0]), state, applied)
            _take(item, state, applied, output)
    if records:
        state.position = max(state.position, records[-1].next_offset)
    for name, counts in output.counts.items():
        state.tenant(name).counts.update(counts)
    return output


def _reach(offset: int, state: PartitionState, applied: Applied | None) -> None:
    """Tell the timelines how far the replay has come: later settings do not act on new devices yet."""
    for tenant in state.tenants.values():
        tenant.timeline.reached = FAR_MS if applied is None else offset


def _take(events: Events, state: PartitionState, applied: Applied | None, output: Output) -> None:
    tenant = state.tenant(events.tenant)
    received = len(events.batch)
    events = without_log_lines(events)
    if received > len(events.batch):
        output.counts[events.tenant]["log_lines"] += received - len(events.batch)
    if applied is not None and len(events.batch):
        events = _not_yet(events, tenant, applied)
    if len(events.batch) == 0:
        return
    judged, ordered, episodes = judge(events, tenant, state.partition)
    state.touched[tenant.devices.rows["shard"][judged.resolved.device]] = True
    _count(judged, ordered, output.counts[events.tenant])
    output.judged.append(judged)
    output.episodes += episodes


def _count(judged: Judged, ordered: Ordered, counts: Counter[str]) -> None:
    """Add the batch to the terms of the conservation law."""
    for status, number in zip(Status, ordered.by_status.tolist(), strict=True):
        if number:
            counts[status.name.lower()] += number
    text = int(judged.batch.text_count.sum())
    counts["unscored_text"] += text
    counts["accepted"] += text + judged.batch.readings
    counts["events"] += len(judged.batch)
    if ordered.too_late:
        counts["late_beyond_correction"] += ordered.too_late


def _not_yet(events: Events, state: TenantState, applied: Applied) -> Events:
    """The events that their shard's state does not have yet."""
    device = state.add_devices(events.batch.device)
    shard = state.devices.rows["shard"][device]
    rows = np.flatnonzero(applied.below[shard] <= events.offsets).astype(np.int64)
    return Events(events.tenant, events.offsets[rows], events.batch.take(rows))


def _decide(
    item: Decision, state: PartitionState, history: History, applied: Applied | None, output: Output
) -> None:
    control, offset = item.control, item.offset
    match control:
        case SettingsChanged():
            state.touched[:] = True
            controls.change_settings(control, offset, state.tenant(control.tenant), applied)
        case Tick():
            found = controls.tick(control, offset, state, applied)
            found += reveal(control, offset, state, applied)
            for episode in found:
                _touch(state, episode.tenant, (episode.device,))
            output.episodes += found
            below = None if applied is None else applied.below
            state.touched[state.dumps.tick(control.now_ms, offset, below)] = True
        case Quarantine():
            _touch(state, control.tenant, control.devices)
            controls.quarantine(control, offset, state.tenant(control.tenant), applied)
            if control.released:
                output.released += _released(control, offset, applied)
        case FeedbackGiven():
            _touch(state, control.tenant, (control.device,))
            if controls.take_feedback(control, offset, state.tenant(control.tenant), applied):
                _correct((control.device,), control.tenant, offset, state, history, output, why=BY_PEOPLE)
        case MaintenanceSet():
            _touch(state, control.tenant, control.devices)
            controls.set_maintenance(control, offset, state, applied)
        case DictionaryTaken() | DumpDetectorFailed() | DumpReceived() | GapGivenUp():
            _decide_dumps(control, offset, state, applied, output)
        case Correct():
            _touch(state, control.tenant, control.devices)
            named = [
                name
                for name in control.devices
                if state.tenant(control.tenant).device_number(name) is not None
                and not (applied is not None and applied.has_device(offset, control.tenant, name))
            ]
            _correct(named, control.tenant, offset, state, history, output)


def _decide_dumps(
    control: DictionaryTaken | DumpDetectorFailed | DumpDecision,
    offset: int,
    state: PartitionState,
    applied: Applied | None,
    output: Output,
) -> None:
    if isinstance(control, DictionaryTaken):
        state.dictionaries.take(control, offset)
    elif isinstance(control, DumpDetectorFailed):
        pass  # whoever logged it acts on it; nothing about readings hangs on it
    elif applied is None or not applied.has_device(offset, control.tenant, control.device):
        _order_dumps(control, offset, state, output)


def _correct(
    devices: Sequence[str],
    tenant: str,
    offset: int,
    state: PartitionState,
    history: History,
    output: Output,
    *,
    why: str = BY_RECORDS,
) -> None:
    """Derive these devices again from all that lies below `offset`; `why` is said of what vanishes."""
    for name, events in history.of_devices(tenant, devices, offset):
        correction = correct(events, name, state.tenant(tenant), state.partition, offset, why=why)
        output.counts[tenant].update(correction.counts)
        output.corrections.append(correction)
        output.episodes += correction.episodes


def _order_dumps(control: DumpDecision, offset: int, state: PartitionState, output: Output) -> None:
    _touch(state, control.tenant, (control.device,))
    watched = bool(state.settings_of(control.tenant).dump_detectors)
    if isinstance(control, DumpReceived):
        moved = state.dumps.receive(control)
        output.episodes += hear(control, moved, offset, state)
    else:
        moved = state.dumps.give_up(control)
        output.episodes += publish_gap(control, moved, state.tenant(control.tenant), state.partition, offset)
    moved.watched = watched
    state.dumps.name_dictionaries(
        moved, lambda application: state.dictionaries.in_force(control.tenant, application, offset)
    )
    controls.name_windows(moved, state.tenant(control.tenant))
    counts = output.counts[control.tenant]
    counts["dumps_received"] += isinstance(control, DumpReceived)
    for place, number in moved.counts.items():
        counts[f"dumps_{place.value}"] += number
    output.dumps.append(moved)


def _released(control: Quarantine, offset: int, applied: Applied | None) -> list[tuple[str, str]]:
    """Tenant and device of those that the record sets free for the first time."""
    tenant = control.tenant
    return [
        (tenant, name)
        for name in control.devices
        if applied is None or not applied.has_device(offset, tenant, name)
    ]


def _touch(state: PartitionState, tenant: str, devices: Iterable[str]) -> None:
    """Mark the shards of these devices as changed."""
    for device in devices:
        state.touched[shard_of(tenant, device)] = True
