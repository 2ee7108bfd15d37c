"""States from snapshots: a partition's chunks, put together again."""

from __future__ import annotations

from typing import Any

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.commit.abstract import Chunk
from tocsin.detectors.abstract import CellCapture
from tocsin.detectors.registry import detectors
from tocsin.errors import CorruptError
from tocsin.events import I32, I64, Strings
from tocsin.processing.chunks import Content, Header, Shard, SlotRows
from tocsin.processing.dictionaries import Dictionaries
from tocsin.processing.packing import unpack_rows
from tocsin.processing.rows import STATE_VERSION
from tocsin.processing.state import Known, PartitionState, Slot, TenantState
from tocsin.processing.tables import find_or_add
from tocsin.processing.timeline import FAR_MS
from tocsin.sharding import SHARDS


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


def _restore_header(chunk: Chunk, state: PartitionState) -> None:
    header = msgspec.msgpack.decode(chunk.payload, type=Header)
    _check_version(header.state_version, chunk.shard)
    for name, versions in header.versions.items():
        tenant = state.tenant(name)
        tenant.timeline.restore([(item.settings, item.effective_ms, item.offset) for item in versions])
        tenant.settings_changed()
    state.dictionaries = Dictionaries(header.dictionaries)


def _restore_shard(chunk: Chunk, state: PartitionState) -> None:
    content = msgspec.msgpack.decode(chunk.payload, type=Content)
    _check_version(content.state_version, chunk.shard)
    for part in content.tenants:
        _restore_tenant(part, state.tenant(part.tenant), chunk.shard)
    state.dumps.restore(chunk.shard, content.dumps)


def _restore_tenant(part: Shard, tenant: TenantState, shard: int) -> None:
    # what a detector learnt outlives the settings that ran it; one that is no longer installed cannot return
    tenant.add_slots(name for name in part.slots if name in detectors())
    offsets = np.cumsum(np.frombuffer(b"\0" * 4 + part.device_lengths, np.int32), dtype=np.int32)
    devices = tenant.add_devices(Strings(offsets, np.frombuffer(part.device_names, np.uint8)))
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
            Known(id_, application, detector, first + place if place >= 0 else -1, reason, started, end,
                  revision, int.from_bytes(digest, "little"))
            for id_, application, detector, place, reason, started, end, revision, digest in items
        ]  # fmt: skip
    for row, revisions in part.retracted.items():
        tenant.retracted[int(devices[row])] = revisions
    for row, spans in part.quarantines.items():
        tenant.quarantines[int(devices[row])] = spans
    for row, windows in part.maintenance.items():
        tenant.maintenance.restore(int(devices[row]), windows)


def _restore_devices(part: Shard, devices: I32, tenant: TenantState) -> None:
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


def _restore_slot(saved: SlotRows, slot: Slot, first: int, count: int, shard: int) -> None:
    if saved.state_version != slot.detector.state_version:
        raise CorruptError(f"shard {shard}: the detector {slot.detector.info.name} has another state version")
    state, last = slot.state, first + count
    state.hot[first:last] = np.frombuffer(saved.hot, state.hot.dtype)
    whole = unpack_rows(saved.cells, state.cells[first:last])
    if not (whole and unpack_rows(saved.policy, slot.policy.rows[first:last])):
        raise CorruptError(
            f"shard {shard}: {slot.detector.info.name} has not as many rows as there are series"
        )
    if saved.feedback:
        slot.feedback.restore(saved.feedback, first)
        slot.place_settings(slot.usual)
    for place, row in saved.watched:
        slot.watched[first + place] = np.frombuffer(row, state.hot.dtype)[0]
    state.captures += [
        CellCapture(first + place, before_ms, ts, cells) for place, before_ms, ts, cells in saved.captures
    ]


def _check_version(version: int, shard: int) -> None:
    if version != STATE_VERSION:
        raise CorruptError(f"the chunk of shard {shard} has state version {version}, not {STATE_VERSION}")


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
