"""The embedded lake: Delta tables in a local folder, synced before anything is reported as stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import duckdb

from tocsin.clock import Clock
from tocsin.errors import ConflictError
from tocsin.lake.abstract import Lake, Slice
from tocsin.lake.intake import changes_of
from tocsin.lake.reading import files_of_devices, open_reader, read_device, read_devices
from tocsin.lake.replaying import read_dump_records, read_records
from tocsin.lake.schemas import EVENTS
from tocsin.lake.store import LakeStore, Snapshot
from tocsin.log.abstract import Record


class DeltaLake(Lake):
    """Delta tables through delta-rs under `folder`; DuckDB, Polars and Spark read them.

    `clock` stamps the entries of the table logs. Opening drops what was committed but never synced, so
    `positions()` says from where the log has to be read again. `read_only` opens beside a writer.
    """

    def __init__(self, folder: Path, clock: Clock, *, read_only: bool = False) -> None:
        self.store: Final = LakeStore(folder, clock, read_only=read_only)

    @cached_property
    def _reader(self) -> duckdb.DuckDBPyConnection:
        """Opened by who reads first: a lake is often opened to write, or to ask how far it goes."""
        return open_reader()

    def append(self, records: Sequence[Record]) -> None:
        with self.store.writing:
            self.store.require_writing()
            self.store.publish()
            self._require_no_gap(records)
            changes = changes_of(self.store, records)
            if changes[-1].writers:
                self.store.commit(changes)

    def positions(self) -> Mapping[int, int]:
        return self.store.snapshot().positions

    def snapshot(self) -> Snapshot:
        """The synced files and positions, for queries."""
        return self.store.snapshot()

    def device_events(
        self,
        tenant: str,
        device: str,
        *,
        partition: int,
        before_offset: int,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> Slice:
        return read_device(
            self._reader,
            self.store.snapshot(),
            tenant,
            device,
            partition=partition,
            before_offset=before_offset,
            span_ms=(from_ms, to_ms),
        )

    def events_of_devices(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> Iterator[tuple[str, Slice]]:
        return read_devices(
            self.store.snapshot(), tenant, devices, partition=partition, before_offset=before_offset
        )

    def require_whole(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> None:
        snapshot = self.store.snapshot()
        snapshot.readable(
            EVENTS.name,
            files_of_devices(snapshot, tenant, devices, partition=partition, before_offset=before_offset),
        )

    def records(self, partition: int, first: int, last: int) -> list[Record]:
        return read_records(self._reader, self.store.snapshot(), partition, (first, last))

    def dump_records(self, tenant: str, device: str, *, partition: int, before_offset: int) -> list[Record]:
        return read_dump_records(
            self._reader, self.store.snapshot(), tenant, device, partition, (0, before_offset)
        )

    def close(self) -> None:
        if "_reader" in vars(self):
            self._reader.close()
        self.store.close()

    def _require_no_gap(self, records: Sequence[Record]) -> None:
        """Refuse records that start beyond what the lake has: what lies between would be lost unnoticed."""
        reached: dict[int, int] = {}
        for record in records:
            expected = reached.get(record.partition, self.store.position(EVENTS.name, record.partition))
            if 0 < expected < record.offset:
                raise ConflictError(
                    f"partition {record.partition}: the lake has offsets below {expected}, "
                    f"the next record starts at {record.offset}"
                )
            reached[record.partition] = max(expected, record.next_offset)
