"""The commit port: one fenced commit per partition holds position, episodes, outbox rows and digests.

Every implementation passes tests/contract/test_commit.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tocsin.control import DumpReceived
from tocsin.model import Episode


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a partition since its beginning; what recovery must arrive at again.

    `raw`, `scored` and `final` are the sums modulo 2^128 of all row hashes, as 32 hex digits. `counts`
    holds, by tenant, the terms of the conservation law and what corrections changed.
    """

    raw: str = "0" * 32
    scored: str = "0" * 32
    final: str = "0" * 32
    counts: dict[str, dict[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to commit for a partition until another takes a newer epoch."""

    partition: int
    epoch: int
    position: int
    totals: Totals


class DumpKind(StrEnum):
    """How a dump became ready."""

    READY = "ready"  # in its turn
    AFTER_GAP = "after_gap"  # it had been given up: the device's dumps are to be corrected
    UNWATCHED = "unwatched"  # no detector was in force: it is dealt with as it becomes ready
    RESUME = "resume"  # a detector stopped at it, and its device was released


@dataclass(frozen=True, slots=True)
class FreedDump:
    """A dump that the order of its device's dumps has set free for detectors."""

    kind: DumpKind
    dump: DumpReceived


@dataclass(frozen=True, slots=True)
class ReadyDump:
    """A freed dump as stored; numbers ascend over all partitions in the order of freeing, without reuse."""

    number: int
    partition: int
    freed: FreedDump


@dataclass(frozen=True, slots=True)
class Commit:
    """What a partition's processor decided between its last position and this one.

    `episodes` are new revisions or states of episodes, `dumps` those set free, both in order; `released`
    names (tenant, device) whose detectors may go on where they have stopped. `first` and `next` offsets: the
    commit is refused with FencedError unless the stored position equals `previous`.
    """

    partition: int
    epoch: int
    previous: int
    position: int
    totals: Totals
    episodes: Sequence[Episode] = ()
    dumps: Sequence[FreedDump] = ()
    released: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An episode on its way to the inbox; sequences ascend over all partitions, without reuse."""

    sequence: int
    episode: Episode


class CommitStore(ABC):
    """Durable before commit returns. Thread-safe."""

    @abstractmethod
    def acquire(self, partition: int) -> Lease:
        """Take the partition with an epoch higher than any before; the former holder is fenced off."""

    @abstractmethod
    def commit(self, commits: Sequence[Commit]) -> None:
        """Apply all in one synced transaction; FencedError if an epoch or position is not the current one."""

    @abstractmethod
    def positions(self) -> Mapping[int, int]:
        """The committed position of each partition ever acquired."""

    @abstractmethod
    def outbox(self, after: int, *, limit: int = 1000) -> list[OutboxRow]:
        """Rows with a sequence above `after`, ascending."""

    @abstractmethod
    def waiting(self, after: int) -> int:
        """How many rows of the outbox have a sequence above `after`."""

    @abstractmethod
    def prune_outbox(self, through: int) -> None:
        """Forget rows up to `through`; the inbox holds them durably."""

    @abstractmethod
    def episode(self, tenant: str, episode_id: str) -> Episode | None:
        """The newest revision, with its evidence."""

    @abstractmethod
    def revisions(self, tenant: str, episode_id: str) -> list[Episode]:
        """Every state and revision that was committed, oldest first."""

    @abstractmethod
    def episodes(
        self,
        tenant: str,
        *,
        device: str | None = None,
        devices: Collection[str] | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        after_id: str = "",
        limit: int = 100,
    ) -> list[Episode]:
        """Newest revisions that overlap the span, ordered by id, ids above `after_id`, without evidence.

        Of one device, or of some that are named once, if either is given.
        """

    @abstractmethod
    def ready_dumps(self, partition: int, after_number: int = 0, *, limit: int = 1000) -> list[ReadyDump]:
        """Dumps of the partition with a number above `after_number`, ascending."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The state of one shard as of `position` of its partition (the offset of the next record to apply).

    Numbers below 0 are those of partitions' headers.
    """

    shard: int
    position: int
    payload: bytes


class CheckpointStore(ABC):
    """Chunks of state, one per shard and tenant-independent; the newest replaces the older. Thread-safe."""

    @abstractmethod
    def write(self, chunks: Sequence[Chunk]) -> None:
        """Replace these shards' chunks in one synced transaction; each is stored with its xxh3_128."""

    @abstractmethod
    def read(self) -> Iterator[Chunk]:
        """All chunks, ascending by shard; CorruptError, with the shard as field, when one was altered."""

    @abstractmethod
    def discard(self, shard: int) -> None:
        """Forget a shard's chunk, so that it is rebuilt by replay from the beginning."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
