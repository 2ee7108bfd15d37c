"""The devices of a tenant by number, and where their events go."""

from __future__ import annotations

import numpy as np

from tocsin.events import I32, Strings
from tocsin.interning import Interner
from tocsin.sharding import partition_of, shard_of


class KnownDevices:
    """Numbers devices as they are added and remembers the shard of each, so that it is hashed once.

    Not thread-safe. Its memory grows with the names that are added; the caller bounds them.
    """

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._names = Interner()
        self._shards: I32 = np.zeros(1024, np.int32)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, devices: Strings) -> I32:
        """The number of each device; unknown ones get the next numbers, in row order."""
        known = len(self._names)
        numbers = self._names.intern(devices)
        if len(self._names) > len(self._shards):
            self._shards = np.resize(self._shards, max(len(self._names), 2 * known))
        for number in range(known, len(self._names)):
            self._shards[number] = shard_of(self._tenant, self._names.name(number))
        return numbers

    def find(self, devices: Strings) -> I32:
        """The number of each device, -1 where it is unknown; adds nothing."""
        return self._names.find(devices)

    def partition(self, numbers: I32, partitions: int) -> I32:
        """The partition of each device when there are `partitions` of them."""
        return partition_of(self._shards[numbers], partitions)

    def names(self) -> Strings:
        """All devices by number; a copy."""
        return self._names.names()
