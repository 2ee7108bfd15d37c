"""Which partition each event goes to."""

from __future__ import annotations

import numpy as np

from tocsin import threads
from tocsin.events import I32, I64, EventBatch
from tocsin.interning import Interner
from tocsin.sharding import SHARDS, shard_of


class Router:
    """Remembers the shard of each device name, so that it is hashed once. Thread-safe.

    Its memory grows with the names that it is shown, so it is shown admitted events only.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._lock = threads.lock()
        self._tenants: dict[str, _Shards] = {}

    def route(self, tenant: str, batch: EventBatch) -> list[tuple[int, EventBatch]]:
        """The batch cut by partition, ascending; the order within a partition is kept.

        When all events go to one partition, the batch itself is given back.
        """
        if len(batch) == 0:
            return []
        if self._partitions == 1:
            return [(0, batch)]
        with self._lock:
            shards = self._tenants.setdefault(tenant, _Shards(tenant))
        partition = shards.of(batch).astype(np.int64) * self._partitions // SHARDS
        if (partition == partition[0]).all():
            return [(int(partition[0]), batch)]
        # NumPy sorts 16-bit numbers by radix.
        rows: I64 = np.argsort(partition.astype(np.int16), kind="stable")
        found, first = np.unique(partition[rows], return_index=True)
        parts = np.split(rows, first[1:])
        return [(int(number), batch.take(part)) for number, part in zip(found, parts, strict=True)]


class _Shards:
    """The shards of one tenant's devices."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._lock = threads.lock()
        self._devices = Interner()
        self._shards: I32 = np.zeros(1024, np.int32)

    def of(self, batch: EventBatch) -> I32:
        """The shard of each event."""
        with self._lock:
            known = len(self._devices)
            numbers = self._devices.intern(batch.device)
            if len(self._devices) > len(self._shards):
                size = max(len(self._devices), 2 * known)
                self._shards = np.resize(self._shards, size)
            for number in range(known, len(self._devices)):
                self._shards[number] = shard_of(self._tenant, self._devices.name(number))
            shards: I32 = self._shards[numbers]
            return shards
