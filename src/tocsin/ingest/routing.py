"""Which partition each event goes to; shards are computed once per device."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.events import I32, EventBatch
from tocsin.interning import Interner
from tocsin.sharding import partition_of, shard_of


class Router:
    """Splits batches of one tenant by partition. Remembers every device it has seen; thread-safe."""

    def __init__(self, tenant: str, partitions: int) -> None:
        self._tenant: Final = tenant
        self._partitions: Final = partitions
        self._names = Interner()
        self._partition_of: npt.NDArray[np.int32] = np.zeros(1024, np.int32)
        self._lock = threading.Lock()

    def route(self, batch: EventBatch) -> list[tuple[int, EventBatch]]:
        """The batch by partition, ascending; order within a partition is kept. One partition: no copy."""
        if self._partitions == 1 or len(batch) == 0:
            return [(0, batch)] if len(batch) else []
        partition = self._partitions_of(batch)
        found = np.unique(partition).tolist()
        if len(found) == 1:
            return [(found[0], batch)]
        return [
            (number, batch.take(np.flatnonzero(partition == number).astype(np.int64))) for number in found
        ]

    def _partitions_of(self, batch: EventBatch) -> I32:
        with self._lock:
            known = len(self._names)
            numbers = self._names.intern(batch.device)
            for number in range(known, len(self._names)):
                self._remember(number)
            return self._partition_of[numbers]

    def _remember(self, number: int) -> None:
        if number == len(self._partition_of):
            self._partition_of = np.concatenate([self._partition_of, np.zeros_like(self._partition_of)])
        shard = shard_of(self._tenant, self._names.name(number))
        self._partition_of[number] = partition_of(shard, self._partitions)
