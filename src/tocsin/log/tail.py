"""The newest durable records in memory, so that a processor that keeps up never reads from disk."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

from tocsin import threads
from tocsin.log.abstract import Record

_COMPACT_AT: Final = 1024
_RECORD_BYTES: Final = 300  # of the objects around a payload


class _PartitionTail:
    """Records of one partition without gaps; the first `head` are already forgotten."""

    __slots__ = ("head", "offsets", "records")

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.records: list[Record | None] = []
        self.head = 0

    def add(self, record: Record) -> None:
        self.offsets.append(record.offset)
        self.records.append(record)

    def forget_first(self) -> None:
        self.records[self.head] = None
        self.head += 1
        if self.head >= _COMPACT_AT and self.head * 2 > len(self.records):
            del self.offsets[: self.head], self.records[: self.head]
            self.head = 0


class Tail:
    """At most `bytes_max` over all partitions, oldest forgotten first. Thread-safe."""

    def __init__(self, partitions: int, bytes_max: int) -> None:
        self._tails = [_PartitionTail() for _ in range(partitions)]
        self._order: deque[tuple[int, int]] = deque()
        self._bytes_max = bytes_max
        self._bytes = 0
        self._lock = threads.lock()

    def add(self, records: Sequence[Record]) -> None:
        """Records that have just become durable, each partition's in order."""
        with self._lock:
            for record in records:
                self._tails[record.partition].add(record)
                size = len(record.payload) + _RECORD_BYTES
                self._order.append((record.partition, size))
                self._bytes += size
            while self._bytes > self._bytes_max:
                partition, size = self._order.popleft()
                self._tails[partition].forget_first()
                self._bytes -= size

    def read(self, partition: int, offset: int, bytes_max: int) -> list[Record] | None:
        """As Log.read, for an offset below the end; None when `offset` is not in memory."""
        with self._lock:
            tail = self._tails[partition]
            if tail.head >= len(tail.records) or offset < tail.offsets[tail.head]:
                return None
            start = bisect_right(tail.offsets, offset, lo=tail.head) - 1
            return take_bytes(tail.records, start, bytes_max)


def take_bytes(records: Sequence[Record | None], start: int, bytes_max: int) -> list[Record]:
    """Records from `start` on: at least one, then while their payloads fit into `bytes_max`."""
    taken: list[Record] = []
    size = 0
    for position in range(start, len(records)):
        record = records[position]
        if record is None or (taken and size + len(record.payload) > bytes_max):
            break
        taken.append(record)
        size += len(record.payload)
    return taken
