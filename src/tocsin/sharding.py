"""Which shard and partition a device belongs to; fixed for ever."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import xxhash

Shard = TypeVar("Shard", int, npt.NDArray[np.int32])

SHARDS = 4096


def shard_of(tenant: str, device: str) -> int:
    """Top 12 bits of xxh3_64 (seed 0) over the length-prefixed UTF-8 names, 0 … 4095.

    Lengths are 4 bytes, little-endian, so that no two pairs of names give the same bytes.

    >>> shard_of("default", "pump-7")
    3091
    """
    parts = (tenant.encode(), device.encode())
    payload = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return xxhash.xxh3_64_intdigest(payload) >> 52


def partition_of(shard: Shard, partitions: int) -> Shard:
    """The partition of a shard, or of each of an array of them, when there are `partitions`.

    >>> [partition_of(s, 4) for s in (0, 1023, 1024, 4095)]
    [0, 0, 1, 3]
    """
    return shard * partitions >> 12
