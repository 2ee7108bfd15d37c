"""Corrections: derive a device again from all its records in order of time, and swap in the result.

A control record `correct` says when. At that record everything before it is in the log, so the state that
is swapped in is exact, and live, replay, backtest and Spark do the same thing at the same place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.events import Strings
from tocsin.model import Episode, SeriesKey, Status
from tocsin.processing.batching import Events
from tocsin.processing.episodes import Source, drafts_of_notices, is_underived, lasting, publish
from tocsin.processing.hashing import join, raw_row, split
from tocsin.processing.judging import Judged, judge
from tocsin.processing.lateness import split_off
from tocsin.processing.notices import silences
from tocsin.processing.retractions import BY_RECORDS
from tocsin.processing.revisions import revise
from tocsin.processing.state import TenantState

_CHUNK_EVENTS: Final = 200_000
_DEVICE_FIELDS: Final = (
    "newest_ms",
    "silent",
    "active_ms",
    "next_check_ms",
    "interval_ms",
    "intervals",
    "zone",
    "zone_from_ms",
    "zone_until_ms",
    "zone_offset_ms",
    "sorted_below",
)
_SERIES_FIELDS: Final = (
    "last_ms",
    "last_value",
    "interval_ms",
    "intervals",
    "missing",
    "missing_ms",
)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A fresh state whose only device is number 0; `device` is its number in the live state."""

    device: int
    state: TenantState
    quarantines: list[tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction found: the device's readings in order of time, judged anew, and revised episodes.

    `offset` is that of the control record which had the device derived again.
    """

    tenant: str
    device: str
    offset: int
    judged: tuple[Judged, ...]
    episodes: list[Episode]
    counts: Counter[str]


def correct(
    events: Events, name: str, state: TenantState, partition: int, offset: int, *, why: str = BY_RECORDS
) -> Correction:
    """Derive a device again from `events` and swap in its new state.

    The events are all of the device below the control record at `offset`, in the order of the log.

    `why` is said of episodes that vanish. Afterwards the device's digest `final` is that of the ordered
    records; `scored` stays what was first given.
    Costs one pass over the device's whole history.
    """
    found = scratch_of(state, name)
    if found is None:
        return Correction(state.tenant, name, offset, (), [], Counter())
    device, scratch = found.device, found.state
    scored, kept_apart = split_off(events, found.quarantines)
    scratch.devices.rows["sorted_below"][0] = offset
    if found.quarantines:
        scratch.quarantines[0] = found.quarantines
    judged, episodes = _derive(scored, scratch, partition)
    episodes += _still_silent(state, device, scratch, partition, offset)
    pairs = _pairs(scratch, state, device)
    _swap_digests(scratch, state, device, pairs, _raw_sums(kept_apart, state, device))
    revised = revise(episodes, scratch, state, device, dict(pairs), why)
    _swap_rows(scratch, state, device, pairs)
    return Correction(state.tenant, name, offset, tuple(judged), revised, _counts(judged, revised))


def derive(events: Events, scratch: Scratch) -> list[Judged]:
    """A device's readings in order of time, judged from the beginning: what `correct` would find."""
    scored, _ = split_off(events, scratch.quarantines)
    judged, _ = _derive(scored, scratch.state, 0)
    return judged


def episodes_of(events: Events, scratch: Scratch) -> list[Episode]:
    """Every published state of a device's episodes, judged in order of time from the beginning."""
    scored, _ = split_off(events, scratch.quarantines)
    return _derive(scored, scratch.state, 0)[1]


def scratch_of(state: TenantState, name: str) -> Scratch | None:
    """A fresh state for one device under the same settings at the same times; None if it is unknown."""
    device = state.device_number(name)
    if device is None:
        return None
    timeline = state.timeline.for_device(device)
    acts_ms, zone = timeline.acts_ms[:, 0].copy(), timeline.zone[:, 0].copy()
    fresh = TenantState(state.tenant, timeline)
    fresh.add_slots(state.slots)
    fresh.add_devices(Strings.of([name]))
    for series in state.device_series(device):
        key = state.series_key(series)
        for detector, slot in state.slots.items():
            fresh.slots[detector].await_feedback(key.application, key.parameter, slot.feedback.unmet(series))
    timeline.acts_ms[:, 0], timeline.zone[:, 0] = acts_ms, zone
    fresh.maintenance.restore(0, state.maintenance.of(device).tobytes())
    return Scratch(device, fresh, list(state.quarantines.get(device, [])))


def _derive(events: Events, scratch: TenantState, partition: int) -> tuple[list[Judged], list[Episode]]:
    judged, episodes = [], []
    for start in range(0, len(events.batch), _CHUNK_EVENTS):
        rows = np.arange(start, min(start + _CHUNK_EVENTS, len(events.batch)), dtype=np.int64)
        chunk = Events(events.tenant, events.offsets[rows], events.batch.take(rows))
        found, _, published = judge(chunk, scratch, partition)
        judged.append(found)
        episodes += published
    return judged, episodes


def _still_silent(
    state: TenantState, device: int, scratch: TenantState, partition: int, offset: int
) -> list[Episode]:
    """The silence that a tick has revealed and that lasts, by the interval that was derived.

    Where its limit has moved beyond what that tick showed, the next tick has to reveal it again.
    """
    revealed = lasting(state, device, "silent")
    if not revealed or not state.devices.rows["silent"][device]:
        return []
    shown_ms = scratch.maintenance.alerts_again_ms(0, revealed[-1].started_ms) + 1
    notices = silences(scratch, shown_ms, np.zeros(1, np.bool_))
    source = Source(partition, np.zeros(0, np.int64), np.zeros(0, np.int32))
    return publish(drafts_of_notices(notices, scratch, source, offset), scratch)


def _pairs(scratch: TenantState, state: TenantState, device: int) -> list[tuple[int, int]]:
    """(number in the scratch state, number in the live state) of each series."""
    live = {state.series_key(number): number for number in state.device_series(device)}
    return [(number, live[scratch.series_key(number)]) for number in range(scratch.series.count)]


def _raw_sums(apart: Events, state: TenantState, device: int) -> dict[SeriesKey, int]:
    """Raw digest of the readings that take no part in the derivation, by series."""
    sums: dict[SeriesKey, int] = {}
    batch, name = apart.batch, state.names.name(device)
    numbers = {state.series_key(number): number for number in state.device_series(device)}
    event = np.repeat(np.arange(len(batch)), np.diff(batch.reading_offsets))
    bits = batch.value.view(np.uint64)
    for row in range(batch.readings):
        application = batch.streams[batch.stream[event[row]]][0]
        key = SeriesKey(state.tenant, application, name, batch.names[batch.parameter[row]])
        item = state.series.rows[numbers[key]]
        low, high = raw_row(item["key_low"], item["key_high"], batch.ts[event[row]], bits[row])
        sums[key] = sums.get(key, 0) + join(int(low), int(high))
    return sums


def _swap_digests(
    scratch: TenantState,
    state: TenantState,
    device: int,
    pairs: list[tuple[int, int]],
    apart: dict[SeriesKey, int],
) -> None:
    """Make `raw` and `final` what the derivation gives; `scored` stays."""
    for derived, number in pairs:
        fresh, row = scratch.series.rows[derived], state.series.rows[number]
        raw = join(fresh["raw_low"], fresh["raw_high"]) + apart.get(state.series_key(number), 0)
        _add_total(state.raw_total, raw - join(row["raw_low"], row["raw_high"]))
        row["raw_low"], row["raw_high"] = split(raw)
        _set_delta(row, join(fresh["scored_low"], fresh["scored_high"]), state)
    underived = sum(item.digest for item in state.known.get(device, []) if is_underived(item))
    fresh = scratch.devices.rows[0]
    _set_delta(state.devices.rows[device], join(fresh["scored_low"], fresh["scored_high"]) + underived, state)


def _set_delta(row: Any, final: int, state: TenantState) -> None:
    delta = final - join(row["scored_low"], row["scored_high"])
    _add_total(state.delta_total, delta - join(row["delta_low"], row["delta_high"]))
    row["delta_low"], row["delta_high"] = split(delta)


def _add_total(total: npt.NDArray[np.uint64], number: int) -> None:
    total[:] = split(join(*total) + number)


def _swap_rows(scratch: TenantState, state: TenantState, device: int, pairs: list[tuple[int, int]]) -> None:
    """Put the derived rows in the place of the live ones."""
    for field in _DEVICE_FIELDS:
        state.devices.rows[field][device] = scratch.devices.rows[field][0]
    state.devices.rows["dirty"][device] = 0
    numbers = dict(pairs)
    for derived, number in pairs:
        for field in _SERIES_FIELDS:
            state.series.rows[field][number] = scratch.series.rows[field][derived]
        for name, slot in state.slots.items():
            slot.copy_series(number, scratch.slots[name], derived)
        state.mark_runs(number, number + 1)
    for name, slot in state.slots.items():
        slot.move_captures(scratch.slots[name], numbers)


def _counts(judged: list[Judged], revised: list[Episode]) -> Counter[str]:
    """What corrections changed; apart from the conservation law, whose terms stay as first given."""
    status = np.concatenate([part.status for part in judged]) if judged else np.zeros(0, np.uint8)
    by_status = np.bincount(status, minlength=len(Status))
    counts = Counter({"corrections": 1, "corrected_readings": int(by_status[Status.SCORED])})
    counts["revised_episodes"] = len(revised)
    return counts
