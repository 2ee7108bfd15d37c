"""The lake port: immutable raw records and aggregates as tables.

Every implementation passes tests/contract/test_lake.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tocsin.events import EventBatch
from tocsin.log.abstract import Record


@dataclass(frozen=True, slots=True)
class Slice:
    """Events of one device in the order of the log; `offset[i]` is that of event i."""

    offsets: tuple[int, ...]
    batch: EventBatch


class Lake(ABC):
    """Append-only and idempotent by (writer, offset). One writer; readers from any thread."""

    @abstractmethod
    def append(self, records: Sequence[Record]) -> None:
        """Add records of any partitions, each partition's in order; files and table log synced on return.

        Records below `positions()[partition]` are skipped, so that a repeat changes nothing. Control
        records go to a table of their own. Also updates the hour aggregates.
        """

    @abstractmethod
    def positions(self) -> Mapping[int, int]:
        """For each partition, the offset below which everything is in the lake and synced."""

    @abstractmethod
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
        """Events of a device with log offsets below `before_offset`, in the order of the log."""

    @abstractmethod
    def events_of_devices(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> Iterator[tuple[str, Slice]]:
        """All devices' `device_events` below `before_offset`, device by device in the order given.

        Far cheaper than asking for one after another. What is held at once are a million events, or those of
        one device where it has more.
        """

    @abstractmethod
    def require_whole(
        self, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
    ) -> None:
        """CorruptError when what `events_of_devices` would read for these devices is damaged.

        Reads all of it that was not compared with its hash before. Every read looks by itself; this is for
        those who would rather not begin.
        """

    @abstractmethod
    def records(self, partition: int, first: int, last: int) -> list[Record]:
        """Records of a partition with offsets first … last - 1 as far as they are in the lake, in order.

        Events may be grouped into records differently than in the log; arrivals are 0.
        """

    @abstractmethod
    def dump_records(self, tenant: str, device: str, *, partition: int, before_offset: int) -> list[Record]:
        """The control records about a device's dumps below `before_offset`, in the order of the log.

        Reads every decision of the tenant in the partition, about 10 million a second. Arrivals are 0.
        """

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
