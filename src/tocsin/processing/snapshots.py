"""Snapshots: the state of shards as bytes, some shards at a time.

Rows of all of them are gathered in one pass a table and then cut by shard, since a shard may hold three
devices and there are thousands of shards.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.commit.abstract import Chunk
from tocsin.events import I32, I64
from tocsin.processing.chunks import Content, Header, KnownRow, Shard, SlotRows, Version, header_shard
from tocsin.processing.dump_orders import Orders
from tocsin.processing.packing import pack_rows
from tocsin.processing.rows import STATE_VERSION
from tocsin.processing.state import Known, PartitionState, Slot, TenantState
from tocsin.sharding import SHARDS


def snapshot_header(state: PartitionState, complete: int) -> Chunk:
    """What belongs to no shard; `complete` is the offset below which every shard's chunk has all records."""
    versions = {
        name: [
            Version(settings, effective_ms, offset)
            for settings, effective_ms, offset in zip(
                tenant.timeline.settings, tenant.timeline.effective_ms, tenant.timeline.offsets, strict=True
            )
        ]
        for name, tenant in state.tenants.items()
    }
    header = Header(STATE_VERSION, versions, state.dictionaries.taken)
    return Chunk(header_shard(state.partition), complete, msgspec.msgpack.encode(header))


def occupied(state: PartitionState) -> npt.NDArray[np.bool_]:
    """By shard: whether it has a device, so that there is something to write."""
    found = np.zeros(SHARDS, np.bool_)
    for tenant in state.tenants.values():
        found |= np.diff(tenant.devices_by_shard()[1]) > 0
    found[list(state.dumps.shards)] = True
    return found


def snapshot_shards(state: PartitionState, shards: I64) -> list[Chunk]:
    """The state of these shards, ascending, as it is now; none for a shard without devices."""
    parts: dict[int, list[Shard]] = {shard: [] for shard in shards.tolist() if state.dumps.of_shard(shard)}
    for tenant in state.tenants.values():
        for shard, part in _snapshot_tenant(tenant, shards):
            parts.setdefault(shard, []).append(part)
    return [
        Chunk(shard, state.position, _content(found, state.dumps.of_shard(shard)))
        for shard, found in sorted(parts.items())
    ]


def _content(tenants: list[Shard], dumps: Orders) -> bytes:
    return msgspec.msgpack.encode(Content(STATE_VERSION, tenants, dumps))


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Devices and series of several shards, shard by shard, and where those of each shard end."""

    devices: I32
    device_ends: I64
    series: I32
    series_ends: I64

    def device_spans(self) -> list[slice]:
        return _spans(self.device_ends)

    def series_spans(self) -> list[slice]:
        return _spans(self.series_ends)


def _spans(ends: I64) -> list[slice]:
    return [slice(first, last) for first, last in pairwise([0, *ends.tolist()])]


def _snapshot_tenant(tenant: TenantState, shards: I64) -> list[tuple[int, Shard]]:
    order, starts = tenant.devices_by_shard()
    shards = shards[starts[shards + 1] > starts[shards]]
    devices = np.concatenate([order[:0], *(order[starts[shard] : starts[shard + 1]] for shard in shards)])
    device_ends = np.cumsum(starts[shards + 1] - starts[shards])
    device_rows = tenant.devices.rows[devices]
    series, place, series_ends = _series_of(devices, device_ends, tenant.devices.rows, tenant.series.rows)
    rows = _Rows(devices, device_ends, series, series_ends)
    series_rows = tenant.series.rows[series]
    series_rows["device"] = place
    streams = _localised(device_rows["stream"], device_ends, tenant.streams)
    parameters = _localised(series_rows["parameter"], series_ends, tenant.parameters)
    names = tenant.names.take(devices)
    lengths = np.diff(names.offsets)
    acts_ms = {
        offset: tenant.timeline.acts_ms[row, devices] for row, offset in enumerate(tenant.timeline.offsets)
    }
    slots = {name: _snapshot_slot(slot, rows) for name, slot in tenant.slots.items()}
    known = _by_shard(tenant.known, rows)
    retracted = _by_shard(tenant.retracted, rows)
    quarantines = _by_shard(tenant.quarantines, rows)
    maintenance = _by_shard(tenant.maintenance.cut(devices), rows)
    return [
        (
            shard,
            Shard(
                tenant=tenant.tenant,
                device_lengths=lengths[own].tobytes(),
                device_names=names.data[names.offsets[own.start] : names.offsets[own.stop]].tobytes(),
                device_rows=device_rows[own].tobytes(),
                acts_ms={offset: acts[own].tobytes() for offset, acts in acts_ms.items()},
                streams=streams[part],
                parameters=parameters[part],
                series_rows=series_rows[its].tobytes(),
                slots={name: found[part] for name, found in slots.items()},
                known={row: _known_rows(items, series[its]) for row, items in known[part].items()},
                retracted=retracted[part],
                quarantines=quarantines[part],
                maintenance=maintenance[part],
            ),
        )
        for part, (shard, own, its) in enumerate(
            zip(shards.tolist(), rows.device_spans(), rows.series_spans(), strict=True)
        )
    ]


def _snapshot_slot(slot: Slot, rows: _Rows) -> list[SlotRows]:
    """The detector's rows, shard by shard."""
    hot = slot.state.hot[rows.series]
    cells = pack_rows(slot.state.cells, rows.series, rows.series_ends)
    policy = pack_rows(slot.policy.rows, rows.series, rows.series_ends)
    found = [
        SlotRows(slot.detector.state_version, hot[its].tobytes(), cells[part], policy[part], [], [], said)
        for part, (its, said) in enumerate(
            zip(rows.series_spans(), slot.feedback.cut(rows.series, rows.series_ends), strict=True)
        )
    ]
    places = _places(slot, rows)
    for number, row in slot.watched.items():
        if number in places:
            part, place = places[number]
            found[part].watched.append((place, row.tobytes()))
    for item in slot.state.captures:
        if item.series in places:
            part, place = places[item.series]
            found[part].captures.append((place, item.before_ms, item.ts, item.cells))
    return found


def _places(slot: Slot, rows: _Rows) -> dict[int, tuple[int, int]]:
    """Of the series under watch: which shard of these, and its place among the shard's series."""
    if not slot.watched:
        return {}
    starts = [0, *rows.series_ends.tolist()]
    found = {}
    for row in np.flatnonzero(np.isin(rows.series, list(slot.watched))).tolist():
        part = bisect_right(starts, row) - 1
        found[int(rows.series[row])] = part, row - starts[part]
    return found


def _by_shard(items: dict[int, _T], rows: _Rows) -> list[dict[int, _T]]:
    """What is kept by device, as one dictionary a shard, by the device's place in it."""
    if not items:
        return [{} for _ in rows.device_ends]
    return [
        {place: items[device] for place, device in enumerate(rows.devices[own].tolist()) if device in items}
        for own in rows.device_spans()
    ]


def _known_rows(items: list[Known], series: I32) -> list[KnownRow]:
    return [
        (
            item.id,
            item.application,
            item.detector,
            int(np.flatnonzero(series == item.series)[0]) if item.series >= 0 else -1,
            item.reason,
            item.started_ms,
            item.end_ms,
            item.revision,
            item.digest.to_bytes(16, "little"),
        )
        for item in items
    ]


def _localised(codes: I32, ends: I64, all_: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Renumber `codes` in place by first appearance in each shard; what the numbers stand for, by shard."""
    used, used_ends = np.empty(len(codes), np.int32), np.empty(len(ends), np.int64)
    _localise(codes, ends, np.full(len(all_), -1, np.int64), used, used_ends)
    return [[all_[code] for code in used[span].tolist()] for span in _spans(used_ends)]


@nb.njit(cache=True, nogil=True)
def _localise(codes: I32, ends: I64, places: I64, used: I32, used_ends: I64) -> None:
    count = row = 0
    for part in range(len(ends)):
        first = count
        for i in range(row, ends[part]):
            code = codes[i]
            if places[code] < first:
                places[code] = count
                used[count] = code
                count += 1
            codes[i] = places[code] - first
        row = ends[part]
        used_ends[part] = count


@nb.njit(cache=True, nogil=True)
def _series_of(
    devices: I32, ends: I64, device_rows: npt.NDArray[Any], series_rows: npt.NDArray[Any]
) -> tuple[I32, I32, I64]:
    """The series of these devices, ascending for each device; each one's device by its place in the shard;
    and where the series of each shard end."""
    count = 0
    for device in devices:
        count += device_rows[device].series_count
    found, place, series_ends = np.empty(count, np.int32), np.empty(count, np.int32), np.empty_like(ends)
    k = row = 0
    for part in range(len(ends)):
        for i in range(row, ends[part]):
            item = device_rows[devices[i]]
            number = item.first_series
            k += item.series_count
            for step in range(1, item.series_count + 1):  # the list begins with the newest
                found[k - step] = number
                place[k - step] = i - row
                number = series_rows[number].next
        row = ends[part]
        series_ends[part] = k
    return found, place, series_ends
