"""A device's whole past: what the lake has, then what is still in the log alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from tocsin.control import DumpDecision, dump_decision
from tocsin.events import I64, EventBatch, concat_events, no_events
from tocsin.lake.abstract import Lake, Slice
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.processing.batching import Events, joined, without_log_lines
from tocsin.processing.processor import History
from tocsin.sharding import partition_of, shard_of

_Stretch = tuple[str, int, int, int]
"""Tenant, partition, and the offsets between which it lies."""
_Decisions = list[tuple[int, DumpDecision]]

DUMPS_KEPT_DEVICES: Final = 64
DUMPS_KEPT_MAX: Final = 4_096
"""Decisions of a device; of one with more, none are kept."""


class DeviceHistory(History):
    """Reads a device's events in the order of the log; every acknowledged one is found, lines of logs apart.

    The newest stretch of the log that is not yet in the lake is decoded once and kept, since whoever asks for
    one device after another does so at one offset; nothing is kept for corrections, which ask for many at
    once, each time at another. Thread-safe; readers of different stretches take the place of each other's.
    What was decided about dumps is kept for the devices asked about last: it never changes, and devices ask
    for their dumps again and again, while each look into the lake takes tens of milliseconds.
    """

    def __init__(self, log: Log, lake: Lake) -> None:
        self._log = log
        self._lake = lake
        self._kept: tuple[_Stretch, list[Events]] = (("", 0, 0, 0), [])
        self._dumps: OrderedDict[tuple[str, str], tuple[int, _Decisions]] = OrderedDict()

    def __call__(self, tenant: str, device: str, before_offset: int) -> Events:
        return self.between(tenant, device, before_offset, None, None)

    def of_devices(
        self, tenant: str, devices: Sequence[str], before_offset: int
    ) -> Iterator[tuple[str, Events]]:
        """One query of the lake for as many as fit; all devices are of one partition."""
        if not devices:
            return
        partition = partition_of(shard_of(tenant, devices[0]), self._log.partitions)
        in_lake = min(self._lake.positions().get(partition, 0), before_offset)
        tail = self._read_tail(tenant, partition, in_lake, before_offset)
        asked = self._lake.events_of_devices(tenant, devices, partition=partition, before_offset=in_lake)
        for device, found in asked:
            parts = _stored(tenant, found)
            for events in tail:
                rows = _rows_of(events.batch, device)
                if len(rows):
                    parts.append(Events(tenant, events.offsets[rows], events.batch.take(rows)))
            yield device, _together(tenant, parts)

    def between(
        self, tenant: str, device: str, before_offset: int, from_ms: int | None, to_ms: int | None
    ) -> Events:
        """Events below `before_offset` with from_ms ≤ ts ≤ to_ms, where these are given."""
        partition = partition_of(shard_of(tenant, device), self._log.partitions)
        in_lake = min(self._lake.positions().get(partition, 0), before_offset)
        found = self._lake.device_events(
            tenant, device, partition=partition, before_offset=in_lake, from_ms=from_ms, to_ms=to_ms
        )
        parts = _stored(tenant, found)
        for events in self._tail_events(tenant, partition, in_lake, before_offset):
            rows = _rows_of(events.batch, device)
            if from_ms is not None:
                rows = rows[events.batch.ts[rows] >= from_ms]
            if to_ms is not None:
                rows = rows[events.batch.ts[rows] <= to_ms]
            if len(rows):
                parts.append(Events(tenant, events.offsets[rows], events.batch.take(rows)))
        return _together(tenant, parts)

    def dumps(self, tenant: str, device: str, before_offset: int) -> list[tuple[int, DumpDecision]]:
        """What was decided about a device's dumps below `before_offset`, with offsets, in order."""
        partition = partition_of(shard_of(tenant, device), self._log.partitions)
        start, found = self._known_dumps(tenant, device, partition, before_offset)
        found += self._dumps_logged(tenant, device, partition, start, before_offset)
        if len(found) <= DUMPS_KEPT_MAX:
            self._dumps[tenant, device] = before_offset, list(found)
            while len(self._dumps) > DUMPS_KEPT_DEVICES:
                self._dumps.popitem(last=False)
        return found

    def _known_dumps(
        self, tenant: str, device: str, partition: int, before_offset: int
    ) -> tuple[int, _Decisions]:
        """Those below an offset from which on the log has all others."""
        start, known = self._dumps.pop((tenant, device), (-1, []))
        if self._log.begin(partition) <= start <= before_offset:
            return start, known
        start = min(self._lake.positions().get(partition, 0), before_offset)
        records = self._lake.dump_records(tenant, device, partition=partition, before_offset=start)
        return start, list(_decisions(records, device))

    def _dumps_logged(
        self, tenant: str, device: str, partition: int, start: int, before_offset: int
    ) -> Iterator[tuple[int, DumpDecision]]:
        while start < before_offset and (records := self._log.read(partition, start)):
            own = [
                record
                for record in records
                if record.kind is RecordKind.CONTROL
                and record.tenant == tenant
                and start <= record.offset < before_offset
            ]
            yield from _decisions(own, device)
            start = records[-1].next_offset

    def _tail_events(self, tenant: str, partition: int, start: int, end: int) -> list[Events]:
        wanted = (tenant, partition, start, end)
        stretch, found = self._kept  # both at once: another thread may put another tenant's there
        if stretch != wanted:
            found = self._read_tail(tenant, partition, start, end)
            self._kept = wanted, found
        return found

    def _read_tail(self, tenant: str, partition: int, start: int, end: int) -> list[Events]:
        found = []
        while start < end:
            records = self._log.read(partition, start)
            if not records:
                break
            own = [
                record
                for record in records
                if record.kind is RecordKind.EVENTS
                and record.tenant == tenant
                and start <= record.offset < end
            ]
            if own:
                found.append(joined(tenant, own))
            start = records[-1].next_offset
        return found


def _decisions(records: Sequence[Record], device: str) -> Iterator[tuple[int, DumpDecision]]:
    for record in records:
        decision = dump_decision(record.payload, device)
        if decision is not None:
            yield record.offset, decision


def _stored(tenant: str, found: Slice) -> list[Events]:
    """What the lake gave, if anything."""
    return [Events(tenant, np.asarray(found.offsets, np.int64), found.batch)] if found.offsets else []


def _rows_of(batch: EventBatch, device: str) -> I64:
    """The rows of one device; names are compared as bytes of the same length."""
    name = np.frombuffer(device.encode(), np.uint8)
    rows = np.flatnonzero(np.diff(batch.device.offsets) == len(name))
    starts = batch.device.offsets[rows].astype(np.int64)
    same = (batch.device.data[starts[:, None] + np.arange(len(name))] == name).all(axis=1)
    found: I64 = rows[same].astype(np.int64)
    return found


def _together(tenant: str, parts: list[Events]) -> Events:
    if not parts:
        return Events(tenant, np.zeros(0, np.int64), no_events())
    return without_log_lines(
        Events(
            tenant,
            np.concatenate([part.offsets for part in parts]),
            concat_events([part.batch for part in parts]),
        )
    )
