"""Snapshots: the state of one shard as bytes, and states from such bytes.

A shard's chunk names its devices, parameters and streams itself, so that it can be restored beside any
other chunk. The header chunk of a partition holds what belongs to no shard: versions of the settings and
counts. A chunk of another version of the rows is refused; its shard is rebuilt by replay.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.commit.abstract import Chunk
from tocsin.control import Settings
from tocsin.detectors.abstract import CellCapture
from tocsin.detectors.registry import detectors
from tocsin.errors import CorruptError
from tocsin.events import I32, I64, Strings
from tocsin.processing.rows import STATE_VERSION
from tocsin.processing.state import Known, PartitionState, Slot, TenantState
from tocsin.processing.tables import find_or_add
from tocsin.processing.timeline import FAR_MS
from tocsin.sharding import SHARDS, partition_of


class _Version(msgspec.Struct, array_like=True):
    settings: Settings
    effective_ms: int
    offset: int


class _Header(msgspec.Struct, array_like=True):
    state_version: int
    versions: dict[str, list[_Version]]


class _SlotRows(msgspec.Struct, array_like=True):
    state_version: int
    hot: bytes
    cells: bytes
    policy: bytes
    watched: list[tuple[int, bytes]]
    captures: list[tuple[int, int, int, bytes]]


class _Shard(msgspec.Struct, array_like=True):
    """One tenant's part of a chunk; series name their device and parameter by place in the lists here."""

    tenant: str
    devices: list[str]
    device_rows: bytes
    acts_ms: dict[int, bytes]
    streams: list[tuple[str, str]]
    parameters: list[tuple[str, str]]
    series_rows: bytes
    slots: dict[str, _SlotRows]
    known: dict[int, list[tuple[str, str, int, str, int, int | None, int, bytes]]]
    quarantines: dict[int, list[tuple[int, int | None]]]


class _Chunk(msgspec.Struct, array_like=True):
    state_version: int
    tenants: list[_Shard]


def header_shard(partition: int) -> int:
    """The number of the chunk with a partition's header: below those of shards, so it is read first."""
    return -1 - partition


def partition_of_chunk(shard: int, partitions: int) -> int:
    """The partition that a chunk belongs to, header or shard."""
    return -1 - shard if shard < 0 else partition_of(shard, partitions)


def snapshot_header(state: PartitionState, complete: int) -> Chunk:
    """What belongs to no shard; `complete` is the offset below which every shard's chunk has all records."""
    versions = {
        name: [
            _Version(settings, effective_ms, offset)
            for settings, effective_ms, offset in zip(
                tenant.timeline.settings, tenant.timeline.effective_ms, tenant.timeline.offsets, strict=True
            )
        ]
        for name, tenant in state.tenants.items()
    }
    header = _Header(STATE_VERSION, versions)
    return Chunk(header_shard(state.partition), complete, msgspec.msgpack.encode(header))


def occupied(state: PartitionState) -> npt.NDArray[np.bool_]:
    """By shard: whether it has a device, so that there is something to write."""
    found = np.zeros(SHARDS, np.bool_)
    for tenant in state.tenants.values():
        found[tenant.devices.used["shard"]] = True
    return found


def snapshot_shard(state: PartitionState, shard: int) -> Chunk | None:
    """The state of a shard as it is now, None while it has no device; copies its rows."""
    tenants = []
    for tenant in state.tenants.values():
        devices = np.flatnonzero(tenant.devices.used["shard"] == shard).astype(np.int32)
        if len(devices):
            tenants.append(_snapshot_tenant(tenant, devices))
    if not tenants:
        return None
    return Chunk(shard, state.position, msgspec.msgpack.encode(_Chunk(STATE_VERSION, tenants)))


class Restoration:
    """Builds a partition's state from its chunks, one at a time: its header first, then shards in any order.

    Raises CorruptError for chunks of another version of the state.
    """

    def __init__(self, partition: int) -> None:
        self._state = PartitionState(partition)
        self._below = np.zeros(SHARDS, np.int64)

    def add(self, chunk: Chunk) -> None:
        """Take a chunk's rows over."""
        if chunk.shard < 0:
            _restore_header(chunk, self._state)
            self._below[:] = chunk.position
        else:
            _restore_shard(chunk, self._state)
            self._below[chunk.shard] = max(chunk.position, self._below[chunk.shard])

    def finish(self) -> tuple[PartitionState, I64]:
        """The state, and per shard the offset below which it has every record.

        A shard has what its chunk has, and at least what the header calls complete.
        """
        for tenant in self._state.tenants.values():
            tenant.sum_totals()
        return self._state, self._below


def _snapshot_tenant(tenant: TenantState, devices: I32) -> _Shard:
    device_rows = tenant.devices.rows[devices]
    series = np.sort(_series_of(devices, tenant.devices.rows, tenant.series.rows))
    series_rows = tenant.series.rows[series]
    stream_numbers, device_rows["stream"] = np.unique(device_rows["stream"], return_inverse=True)
    parameter_codes, series_rows["parameter"] = np.unique(series_rows["parameter"], return_inverse=True)
    series_rows["device"] = np.searchsorted(devices, series_rows["device"])
    timeline = tenant.timeline
    return _Shard(
        tenant=tenant.tenant,
        devices=[tenant.names.name(int(device)) for device in devices],
        device_rows=device_rows.tobytes(),
        acts_ms={
            offset: timeline.acts_ms[row, devices].tobytes() for row, offset in enumerate(timeline.offsets)
        },
        streams=[tenant.streams[number] for number in stream_numbers] if tenant.streams else [],
        parameters=[tenant.parameters[code] for code in parameter_codes],
        series_rows=series_rows.tobytes(),
        slots={name: _snapshot_slot(slot, series) for name, slot in tenant.slots.items()},
        known=_snapshot_known(tenant, devices, series),
        quarantines={
            row: tenant.quarantines[int(device)]
            for row, device in enumerate(devices)
            if int(device) in tenant.quarantines
        },
    )


def _snapshot_slot(slot: Slot, series: I32) -> _SlotRows:
    places = {int(number): place for place, number in enumerate(series)} if slot.watched else {}
    return _SlotRows(
        slot.detector.state_version,
        slot.state.hot[series].tobytes(),
        slot.state.cells[series].tobytes(),
        slot.policy.rows[series].tobytes(),
        [(places[number], row.tobytes()) for number, row in slot.watched.items() if number in places],
        [
            (places[item.series], item.before_ms, item.ts, item.cells)
            for item in slot.state.captures
            if item.series in places
        ],
    )


def _snapshot_known(
    tenant: TenantState, devices: I32, series: I32
) -> dict[int, list[tuple[str, str, int, str, int, int | None, int, bytes]]]:
    found = {}
    for row, device in enumerate(devices.tolist()):
        items = tenant.known.get(device)
        if items:
            found[row] = [
                (
                    item.id,
                    item.detector,
                    int(np.searchsorted(series, item.series)) if item.series >= 0 else -1,
                    item.reason,
                    item.started_ms,
                    item.end_ms,
                    item.revision,
                    item.digest.to_bytes(16, "little"),
                )
                for item in items
            ]
    return found


def _restore_header(chunk: Chunk, state: PartitionState) -> None:
    header = msgspec.msgpack.decode(chunk.payload, type=_Header)
    _check_version(header.state_version, chunk.shard)
    for name, versions in header.versions.items():
        tenant = state.tenant(name)
        tenant.timeline.restore([(item.settings, item.effective_ms, item.offset) for item in versions])
        tenant.settings_changed()


def _restore_shard(chunk: Chunk, state: PartitionState) -> None:
    content = msgspec.msgpack.decode(chunk.payload, type=_Chunk)
    _check_version(content.state_version, chunk.shard)
    for part in content.tenants:
        _restore_tenant(part, state.tenant(part.tenant), chunk.shard)


def _restore_tenant(part: _Shard, tenant: TenantState, shard: int) -> None:
    # what a detector learnt outlives the settings that ran it; one that is no longer installed cannot return
    tenant.add_slots(name for name in part.slots if name in detectors())
    devices = tenant.add_devices(Strings.of(part.devices))
    _restore_devices(part, devices, tenant)
    codes = np.array([tenant.parameter_code(*key) for key in part.parameters], np.int32)
    rows = np.frombuffer(part.series_rows, tenant.series.rows.dtype).copy()
    if len(rows):
        rows["device"] = devices[rows["device"]]
        rows["parameter"] = codes[rows["parameter"]]
    first = tenant.series.count
    tenant.reserve_series(len(rows))
    _link(rows, first, *tenant.pairs.arrays, tenant.devices.rows)
    tenant.series.rows[first : first + len(rows)] = rows
    tenant.start_series(len(rows))
    for name, saved in part.slots.items():
        if name in tenant.slots:
            _restore_slot(saved, tenant.slots[name], first, len(rows), shard)
    tenant.mark_runs(first, first + len(rows))
    for row, items in part.known.items():
        tenant.known[int(devices[row])] = [
            Known(id_, detector, first + place if place >= 0 else -1, reason, started, end, revision,
                  int.from_bytes(digest, "little"))
            for id_, detector, place, reason, started, end, revision, digest in items
        ]  # fmt: skip
    for row, spans in part.quarantines.items():
        tenant.quarantines[int(devices[row])] = spans


def _restore_devices(part: _Shard, devices: I32, tenant: TenantState) -> None:
    rows = np.frombuffer(part.device_rows, tenant.devices.rows.dtype).copy()
    rows["stream"] = np.array(tenant.number_streams(part.streams), np.int32)[rows["stream"]]
    rows["first_series"] = -1
    rows["series_count"] = 0
    rows["zone"] = -1
    tenant.devices.rows[devices] = rows
    timeline = tenant.timeline
    for row, offset in enumerate(timeline.offsets):
        acts = part.acts_ms.get(offset)
        timeline.acts_ms[row, devices] = FAR_MS if acts is None else np.frombuffer(acts, np.int64)


def _restore_slot(saved: _SlotRows, slot: Slot, first: int, count: int, shard: int) -> None:
    if saved.state_version != slot.detector.state_version:
        raise CorruptError(f"shard {shard}: the detector {slot.detector.info.name} has another state version")
    state, last = slot.state, first + count
    for rows, raw in (
        (state.hot, saved.hot),
        (state.cells, saved.cells),
        (slot.policy.rows, saved.policy),
    ):
        rows[first:last] = np.frombuffer(raw, rows.dtype).reshape(rows[first:last].shape)
    for place, row in saved.watched:
        slot.watched[first + place] = np.frombuffer(row, state.hot.dtype)[0]
    state.captures += [
        CellCapture(first + place, before_ms, ts, cells) for place, before_ms, ts, cells in saved.captures
    ]


def _check_version(version: int, shard: int) -> None:
    if version != STATE_VERSION:
        raise CorruptError(f"the chunk of shard {shard} has state version {version}, not {STATE_VERSION}")


@nb.njit(cache=True, nogil=True)
def _series_of(devices: I32, device_rows: npt.NDArray[Any], series_rows: npt.NDArray[Any]) -> I32:
    """The series of these devices, in no special order."""
    count = 0
    for device in devices:
        count += device_rows[device].series_count
    found = np.empty(count, np.int32)
    k = 0
    for device in devices:
        number = device_rows[device].first_series
        while number >= 0:
            found[k] = number
            k += 1
            number = series_rows[number].next
    return found


@nb.njit(cache=True, nogil=True)
def _link(
    rows: npt.NDArray[Any], first: int, pair_keys: I64, pair_numbers: I32, devices: npt.NDArray[Any]
) -> None:
    """Enter new series rows, to be numbered from `first`, into the pair index and their devices' lists."""
    for i in range(len(rows)):
        row = rows[i]
        find_or_add(pair_keys, pair_numbers, first + i, row.device, row.parameter)
        row.next = devices[row.device].first_series
        devices[row.device].first_series = first + i
        devices[row.device].series_count += 1
