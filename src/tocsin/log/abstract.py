"""The log port: durable, partitioned, append-only. Every implementation passes tests/contract/test_log.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from tocsin.threads import Future


class RecordKind(IntEnum):
    """What a record's payload is."""

    EVENTS = 0  # payloads.encode_events; `count` events, each with an offset of its own
    CONTROL = 1  # control.encode_control; count 1


@dataclass(frozen=True, slots=True)
class Part:
    """What one append puts into one partition. `count` ≥ 1 offsets are taken."""

    partition: int
    kind: RecordKind
    count: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One acknowledged part: it owns offsets `offset … offset + count - 1` of its partition."""

    partition: int
    offset: int
    count: int
    kind: RecordKind
    tenant: str
    arrival_ms: int
    payload: bytes

    @property
    def next_offset(self) -> int:
        """The offset that names the record after this one."""
        return self.offset + self.count


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A line that was refused: its bytes (or a prefix and hash, when too long) and why.

    `line` counts from 1 within its body; `field` may be empty. `body` is at most 256 KiB, of a CSV row
    8 KiB more, for the header above it. `form` says how it is to be read, `sender` is the id of the
    credential that sent it; both are empty in letters that were kept before there were any.
    """

    tenant: str
    arrival_ms: int
    source: str
    line: int
    code: str
    field: str
    detail: str
    body: bytes
    form: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter with the id it is listed by; ids ascend."""

    id: int
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Append:
    """All that one request adds, durable together or not at all.

    `producer` and `sequence` make it idempotent for 24 h: the same pair again changes nothing and gets
    the first `answer`, if `fingerprint` (a hash of the body) is the same, else ConflictError
    ("id_conflict"). Both empty = not idempotent. Producers are scoped to the tenant.
    """

    tenant: str
    arrival_ms: int
    parts: Sequence[Part]
    dead_letters: Sequence[DeadLetter] = ()
    producer: str = ""
    sequence: str = ""
    fingerprint: bytes = b""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to give, whether it is that of an earlier request, and the first offset of each part."""

    answer: bytes
    repeated: bool
    offsets: tuple[int, ...]


class Log(ABC):
    """Append is durable before its future is done; reads see durable records only. Thread-safe."""

    partitions: int

    @abstractmethod
    def submit(self, append: Append) -> Future[Appended]:
        """Queue an append; does not block.

        The future is done once the records are synced to disk. Raises BackpressureError at once when the
        queue is full, StorageFullError (in the future) when the disk is.
        """

    @abstractmethod
    def find_answer(self, tenant: str, producer: str, sequence: str, fingerprint: bytes) -> bytes | None:
        """The answer this producer and sequence got in the last 24 h, or None; ConflictError as in submit."""

    @abstractmethod
    def read(self, partition: int, offset: int, *, bytes_max: int = 8 << 20) -> list[Record]:
        """Durable records in order, the first one containing `offset`; empty at the end.

        At least one record if there is any, then up to `bytes_max` of payload. Raises NotFoundError when
        `offset` has been trimmed, CorruptError when a stored record does not match its checksum.
        """

    @abstractmethod
    def begin(self, partition: int) -> int:
        """The oldest offset still kept."""

    @abstractmethod
    def end(self, partition: int) -> int:
        """The offset that the next record will get."""

    @abstractmethod
    def wait(self, partition: int, offset: int, timeout_s: float) -> bool:
        """Block until `end(partition) > offset` or the timeout; True if there is something to read.

        TocsinError once nothing can be appended any more: whoever waits is the one to stop for it.
        """

    @abstractmethod
    def trim(self, safe: Mapping[int, int]) -> int:
        """Delete whole segments in which every partition's records lie below `safe[partition]`; how many.

        Dead letters of a deleted segment move to the dead-letter store first.
        """

    @abstractmethod
    def dead_letters(self, tenant: str, *, after_id: int = 0, limit: int = 100) -> list[StoredDeadLetter]:
        """Dead letters of a tenant with ids above `after_id`, ascending.

        Their number is bounded: the oldest go for newer ones once their segment is no longer needed.
        """

    @abstractmethod
    def dead_letter(self, tenant: str, letter_id: int) -> StoredDeadLetter | None:
        """One dead letter of the tenant."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued and close; idempotent."""
