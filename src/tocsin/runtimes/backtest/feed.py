"""A log in memory: chunks of a file become records of partitions, as ingest would make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from tocsin.control import Control, encode_control
from tocsin.events import EventBatch, encode_events
from tocsin.ingest.routing import Router
from tocsin.log.abstract import Record, RecordKind


class Feed:
    """Gives offsets to what enters; the offset of each partition's next record is in `ends`."""

    def __init__(self, tenant: str, partitions: int) -> None:
        self.tenant: Final = tenant
        self.ends: Final = [0] * partitions
        self._router = Router(partitions)

    def events(self, batch: EventBatch, arrival_ms: int) -> Iterator[Record]:
        """The batch as one record for each partition that has any of it."""
        for partition, part in self._router.route(self.tenant, batch):
            payload = encode_events(part)
            yield self._record(partition, RecordKind.EVENTS, len(part), arrival_ms, payload)

    def control(self, partition: int, control: Control) -> Record:
        """A decision for one partition."""
        return self._record(partition, RecordKind.CONTROL, 1, 0, encode_control(control))

    def _record(
        self, partition: int, kind: RecordKind, count: int, arrival_ms: int, payload: bytes
    ) -> Record:
        offset = self.ends[partition]
        self.ends[partition] += count
        return Record(partition, offset, count, kind, self.tenant, arrival_ms, payload)


def arrival_of(arrival_ms: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """One arrival for a record: that of its last event."""
    return int(arrival_ms[-1]) if len(arrival_ms) else 0
