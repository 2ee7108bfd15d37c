"""Control records: what each decision does to the state, device by device."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tocsin.control import FeedbackGiven, MaintenanceSet, Quarantine, SettingsChanged, Tick
from tocsin.events import I64, Strings
from tocsin.model import Episode
from tocsin.processing import notices as noticing
from tocsin.processing.dump_order import Moved
from tocsin.processing.episodes import Source, drafts_of_notices, publish
from tocsin.processing.feedback import bits_of
from tocsin.processing.hours import hours_of
from tocsin.processing.maintenance import acted
from tocsin.processing.state import PartitionState, TenantState
from tocsin.sharding import shard_of


@dataclass(frozen=True, slots=True)
class Applied:
    """Per shard, the offset below which its state already has every record; used while replaying."""

    below: I64

    def has(self, offset: int, state: TenantState) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """For each device, whether the record at `offset` is already in its state."""
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = self.below[state.devices.used["shard"]] > offset
        return found

    def has_device(self, offset: int, tenant: str, device: str) -> bool:
        """Whether the record at `offset` is already in this device's state."""
        return bool(self.below[shard_of(tenant, device)] > offset)


def change_settings(
    change: SettingsChanged, offset: int, state: TenantState, applied: Applied | None
) -> None:
    """Let the settings act on each device from the later of their time and the device's newest stamp."""
    names = state.names.names().tolist()
    version = state.timeline.change(change.settings, change.effective_ms, offset, names)
    concerned = _concerned(offset, state, applied)
    state.timeline.act(version, concerned, state.devices.used["newest_ms"][concerned])
    state.settings_changed()


def tick(record: Tick, offset: int, state: PartitionState, applied: Applied | None) -> list[Episode]:
    """Reveal silences of devices whose last record was live."""
    found: list[Episode] = []
    source = Source(state.partition, np.zeros(0, np.int64), np.zeros(0, np.int32))
    for tenant in state.tenants.values():
        known = applied.has(offset, tenant) if applied else np.zeros(tenant.devices.count, np.bool_)
        notices = noticing.silences(tenant, record.now_ms, known)
        found += publish(drafts_of_notices(notices, tenant, source, offset), tenant)
    return found


def quarantine(record: Quarantine, offset: int, state: TenantState, applied: Applied | None) -> None:
    """Stop scoring these devices, or start again."""
    concerned = set(_concerned(offset, state, applied).tolist())
    for name in record.devices:
        device = state.device_number(name)
        if device is None or device not in concerned:
            continue
        spans = state.quarantines.setdefault(device, [])
        open_now = bool(spans) and spans[-1][1] is None
        if record.released and open_now:
            spans[-1] = (spans[-1][0], offset)
        elif not record.released and not open_now:
            spans.append((offset, None))
        state.devices.rows["quarantined"][device] = not record.released


def take_feedback(record: FeedbackGiven, offset: int, state: TenantState, applied: Applied | None) -> bool:
    """Let feedback act on the series that it names, as far as the device has sent them.

    Returns whether it changes what the device's readings up to now have left: then they have to be derived
    again.
    """
    device = state.device_number(record.device)
    if device is None or (applied is not None and applied.has_device(offset, state.tenant, record.device)):
        return False
    newest_ms, past = int(state.devices.rows[device]["newest_ms"]), False
    hours = bits_of(hours_of(record.spans, state.timeline, device))
    for name in record.series:
        slot = state.slots.get(name.detector)
        series = state.series_number(device, name.application, name.parameter)
        if slot is None or series is None or not slot.detector.hears(record.kind):
            continue
        past |= slot.feedback.add(record, series, newest_ms, hours)
        slot.place_settings(slot.usual)
    return past


def set_maintenance(
    record: MaintenanceSet, offset: int, state: PartitionState, applied: Applied | None
) -> None:
    """Let a maintenance window hold for those of its devices that have sent something.

    One that has sent nothing but dumps becomes known by it, of no application yet.
    """
    tenant = state.tenant(record.tenant)
    senders = [name for name in record.devices if state.dumps.find(record.tenant, name) is not None]
    fresh = [name for name in senders if tenant.device_number(name) is None]
    if fresh:
        added = tenant.add_devices(Strings.of(fresh))
        tenant.devices.rows["stream"][added] = tenant.number_streams([("", "")])[0]
    numbers = (tenant.device_number(name) for name in record.devices)
    known = np.array([number for number in numbers if number is not None], np.int64)
    if applied is not None:
        known = known[~applied.has(offset, tenant)[known]]
    tenant.maintenance.set(record, known, tenant.devices.rows["newest_ms"][known])


def name_windows(moved: Moved, state: TenantState) -> None:
    """Write into the dumps that were set free which maintenance windows their device has."""
    for freed in (moved.ready, moved.after_gap):
        for place, dump in enumerate(freed):
            device = state.device_number(dump.device)
            windows = () if device is None else acted(state.maintenance.of(device))
            if windows:
                freed[place] = msgspec.structs.replace(dump, windows=windows)


def _concerned(offset: int, state: TenantState, applied: Applied | None) -> I64:
    if applied is None:
        return np.arange(state.devices.count, dtype=np.int64)
    return np.flatnonzero(~applied.has(offset, state)).astype(np.int64)
