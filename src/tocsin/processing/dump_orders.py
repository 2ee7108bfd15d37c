"""The order of dumps of all devices of a partition, by shard, so that checkpoints can hold it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from tocsin.control import DumpReceived, GapGivenUp
from tocsin.events import I64
from tocsin.processing.dump_order import DumpOrder, Moved
from tocsin.processing.dump_pace import DumpPace
from tocsin.sharding import shard_of

Orders = dict[str, dict[str, DumpOrder]]
"""By tenant and device."""


class DumpOrders:
    """Only devices that send dumps are here; readings never come by."""

    def __init__(self) -> None:
        self._shards: dict[int, Orders] = {}
        self._unstamped: set[tuple[int, str, str]] = set()
        self._waiting: set[tuple[int, str, str]] = set()
        self._due: list[tuple[int, tuple[int, str, str]]] = []  # a heap, with one entry a device that counts
        self._queued: dict[tuple[int, str, str], int] = {}

    @property
    def shards(self) -> Iterable[int]:
        """Those with a device."""
        return self._shards.keys()

    def of_shard(self, shard: int) -> Orders:
        """What a checkpoint of the shard holds."""
        return self._shards.get(shard, {})

    def restore(self, shard: int, orders: Orders) -> None:
        """Take over what a checkpoint held."""
        if orders:
            self._shards[shard] = orders
        for tenant, devices in orders.items():
            for device, order in devices.items():
                self._note(shard, tenant, device, order)
                self.await_next(tenant, device)

    def find(self, tenant: str, device: str) -> DumpOrder | None:
        """Where a device stands, None if it sent no dump."""
        return self.of_shard(shard_of(tenant, device)).get(tenant, {}).get(device)

    def all(self) -> Iterator[tuple[str, str, DumpOrder]]:
        """Tenant, device and where it stands, in no order."""
        for orders in self._shards.values():
            for tenant, devices in orders.items():
                for device, order in devices.items():
                    yield tenant, device, order

    def cut_to_ms(self) -> dict[tuple[str, str], int]:
        """By tenant and device, where the last window of its log lines has ended; O(devices)."""
        return {
            (tenant, device): order.cut_to_ms
            for tenant, device, order in self.all()
            if order.cut_to_ms is not None
        }

    def devices(self, tenant: str) -> list[str]:
        """The tenant's devices that sent a dump, in no order."""
        return [device for orders in self._shards.values() for device in orders.get(tenant, ())]

    def receive(self, dump: DumpReceived) -> Moved:
        """Take a dump in."""
        shard = shard_of(dump.tenant, dump.device)
        devices = self._shards.setdefault(shard, {}).setdefault(dump.tenant, {})
        order = devices.setdefault(dump.device, DumpOrder())
        moved = order.receive(dump)
        self._note(shard, dump.tenant, dump.device, order)
        return moved

    def give_up(self, gap: GapGivenUp) -> Moved:
        """Stop waiting for what is missing; nothing for a device that sent no dump."""
        order = self.find(gap.tenant, gap.device)
        if order is None:
            return Moved()
        moved = order.give_up(gap)
        self._note(shard_of(gap.tenant, gap.device), gap.tenant, gap.device, order)
        return moved

    def name_dictionaries(self, moved: Moved, in_force: Callable[[str], str]) -> None:
        """Say of the dumps that were just set free what they are judged by; `in_force` is by application."""
        for dump in (*moved.ready[:1], *moved.after_gap[:1]):
            order = self.find(dump.tenant, dump.device)
            if order is not None:
                order.name_dictionaries(moved, in_force)
                return

    def overdue(self, now_ms: int, wait_ms: Callable[[str], int]) -> list[GapGivenUp]:
        """The first gap of each device that is to be given up; `wait_ms` is the tenant's.

        Costs something only for devices that wait for a dump.
        """
        waits = {tenant: wait_ms(tenant) for tenant in {item[1] for item in self._waiting}}
        found = []
        for shard, tenant, device in self._waiting:
            order = self._shards[shard][tenant][device]
            gap = order.overdue(now_ms, waits[tenant])
            if gap is not None:
                found.append((tenant, device, gap, order.waited_ms(now_ms)))
        return [
            GapGivenUp(
                tenant=tenant,
                device=device,
                epoch=epoch,
                from_sequence=first,
                to_sequence=last,
                at_ms=now_ms,
                waited_ms=waited_ms,
            )
            for tenant, device, (epoch, first, last), waited_ms in sorted(found)
        ]

    def tick(self, now_ms: int, offset: int, below: I64 | None) -> list[int]:
        """Stamp what is found waiting for the first time; the shards that changed.

        Shards whose state has the record at `offset` already (`below`, by shard) are passed over.
        """
        found = [item for item in self._unstamped if below is None or below[item[0]] <= offset]
        for item in found:
            shard, tenant, device = item
            self._shards[shard][tenant][device].tick(now_ms)
            self._unstamped.discard(item)
        return [shard for shard, _, _ in found]

    def await_next(self, tenant: str, device: str) -> None:
        """Have `silent` look at the device once its next dump is due; to be said after each change."""
        key = (shard_of(tenant, device), tenant, device)
        order = self.find(tenant, device)
        due_ms = None if order is None or order.pace is None else order.pace.due_ms
        queued_ms = self._queued.get(key)
        if due_ms is not None and (queued_ms is None or due_ms < queued_ms):
            self._queued[key] = due_ms
            heapq.heappush(self._due, (due_ms, key))

    def silent(self, now_ms: int, offset: int, below: I64 | None) -> list[tuple[str, str, DumpPace]]:
        """Devices whose next dump was due before now, in the order of their names.

        Costs something only for devices that may be. Shards are passed over as in `tick`. Whoever is given
        one says `await_next` of it.
        """
        looked: list[tuple[int, str, str]] = []
        while self._due and self._due[0][0] < now_ms:
            queued_ms, key = heapq.heappop(self._due)
            if self._queued.get(key) == queued_ms:
                del self._queued[key]
                looked.append(key)
        found = []
        for key in looked:
            shard, tenant, device = key
            pace = self._shards[shard][tenant][device].pace
            due_ms = None if pace is None else pace.due_ms
            known = below is not None and below[shard] > offset
            if pace is not None and due_ms is not None and due_ms < now_ms and not known:
                found.append((tenant, device, pace))
            else:
                self.await_next(tenant, device)
        return sorted(found, key=lambda item: item[:2])

    def _note(self, shard: int, tenant: str, device: str, order: DumpOrder) -> None:
        """Remember whether the device waits, and whether a tick has to stamp what does."""
        item = (shard, tenant, device)
        (self._waiting.add if order.waiting else self._waiting.discard)(item)
        unstamped = any(waiting.since_ms is None for waiting in order.waiting)
        (self._unstamped.add if unstamped else self._unstamped.discard)(item)
