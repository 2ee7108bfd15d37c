"""A log in memory: chunks of a file become records of partitions, as ingest would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tocsin.control import Control, Settings, SettingsChanged, encode_control
from tocsin.events import EventBatch
from tocsin.files import EventFile
from tocsin.ingest.known_devices import KnownDevices
from tocsin.ingest.stamping import stamp
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import cut_events


class Feed:
    """Gives offsets to what enters; the offset of each partition's next record is in `ends`."""

    def __init__(self, tenant: str, partitions: int) -> None:
        self.tenant: Final = tenant
        self.ends: Final = [0] * partitions
        self._devices = KnownDevices(tenant)

    def settings(self, settings: Settings) -> Iterator[Record]:
        """The tenant's settings for every partition, in force from the beginning."""
        change = SettingsChanged(tenant=self.tenant, effective_ms=0, settings=settings)
        for partition in range(len(self.ends)):
            yield self.control(partition, change)

    def file(self, source: EventFile, batch_rows: int, progress: Callable[[int], None]) -> Iterator[Record]:
        """The records of a whole file; `progress` gets the rows read so far."""
        for chunk in source.chunks(batch_rows):
            batch, _ = stamp(chunk.batch, chunk.arrival_ms)
            # One arrival for a record: that of its last event.
            yield from self._events(batch, int(chunk.arrival_ms[-1]) if len(chunk) else 0)
            progress(source.report.rows)

    def control(self, partition: int, control: Control) -> Record:
        """A decision for one partition."""
        return self._record(partition, RecordKind.CONTROL, 1, 0, encode_control(control))

    def _events(self, batch: EventBatch, arrival_ms: int) -> Iterator[Record]:
        partitions = len(self.ends)
        partition = self._devices.partition(self._devices.add(batch.device), partitions)
        for number, count, payload in cut_events(batch, partition, partitions):
            yield self._record(number, RecordKind.EVENTS, count, arrival_ms, payload)

    def _record(
        self, partition: int, kind: RecordKind, count: int, arrival_ms: int, payload: bytes
    ) -> Record:
        offset = self.ends[partition]
        self.ends[partition] += count
        return Record(partition, offset, count, kind, self.tenant, arrival_ms, payload)
