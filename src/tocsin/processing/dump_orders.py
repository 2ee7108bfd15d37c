"""The order of dumps of all devices of a partition, by shard, so that checkpoints can hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.control import DumpReceived, GapGivenUp
from tocsin.events import I64
from tocsin.processing.dump_order import DumpOrder, Moved
from tocsin.sharding import shard_of

Orders = dict[str, dict[str, DumpOrder]]
"""By tenant and device."""


class DumpOrders:
    """Only devices that send dumps are here; readings never come by."""

    def __init__(self) -> None:
        self._shards: dict[int, Orders] = {}
        self._unstamped: set[tuple[int, str, str]] = set()

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
        self._unstamped.update(
            (shard, tenant, device)
            for tenant, devices in orders.items()
            for device, order in devices.items()
            if any(item.since_ms is None for item in order.waiting)
        )

    def find(self, tenant: str, device: str) -> DumpOrder | None:
        """Where a device stands, None if it sent no dump."""
        return self.of_shard(shard_of(tenant, device)).get(tenant, {}).get(device)

    def all(self) -> Iterator[tuple[str, str, DumpOrder]]:
        """Tenant, device and where it stands, in no order."""
        for orders in self._shards.values():
            for tenant, devices in orders.items():
                for device, order in devices.items():
                    yield tenant, device, order

    def receive(self, dump: DumpReceived) -> Moved:
        """Take a dump in."""
        shard = shard_of(dump.tenant, dump.device)
        devices = self._shards.setdefault(shard, {}).setdefault(dump.tenant, {})
        order = devices.setdefault(dump.device, DumpOrder())
        moved = order.receive(dump)
        if order.waiting:
            self._unstamped.add((shard, dump.tenant, dump.device))
        return moved

    def give_up(self, gap: GapGivenUp) -> Moved:
        """Stop waiting for what is missing; nothing for a device that sent no dump."""
        order = self.find(gap.tenant, gap.device)
        return Moved() if order is None else order.give_up(gap)

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
