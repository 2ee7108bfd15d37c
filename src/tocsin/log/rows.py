"""Rows of the embedded log and the hashes they carry."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import xxhash

from tocsin.errors import ConflictError, CorruptError
from tocsin.log.abstract import Append, DeadLetter, Record, RecordKind, StoredDeadLetter
from tocsin.storage.hashing import check_row, row_hash

Row = tuple[Any, ...]
"""A row as it is stored, its hash included."""

_HEAD: Final = struct.Struct("<IQQIqI")
_ANSWER_ROW_BYTES: Final = 128  # hash, moment and indexes
_ANSWER_COLUMNS: Final = attrgetter("tenant", "producer", "sequence", "arrival_ms", "fingerprint")
_LETTER_COLUMNS: Final = attrgetter("line", "code", "field", "detail", "body")
_WORD_END: Final = "\x1f"
"""Between the words of column `source`, which no name in it has."""


def record_hash(record: Record) -> bytes:
    """xxh3_128 over everything that makes the record what and where it is."""
    tenant = record.tenant.encode()
    head = (record.partition, record.offset, record.count, record.kind, record.arrival_ms, len(tenant))
    digest = xxhash.xxh3_128(_HEAD.pack(*head))
    digest.update(tenant)
    digest.update(record.payload)
    return digest.digest()


def record_row(record: Record) -> tuple[Any, ...]:
    """The record as the columns of table `record`."""
    return (
        record.partition,
        record.offset,
        record.count,
        int(record.kind),
        record.tenant,
        record.arrival_ms,
        record_hash(record),
        record.payload,
    )


def record_of(partition: int, row: tuple[Any, ...], place: str) -> Record:
    """The record in a row of `read_records`; CorruptError naming segment and offset if it was altered."""
    offset, count, kind, tenant, arrival_ms, stored_hash, payload = row
    where = f"{place}: partition {partition}, offset {offset}"
    try:
        record = Record(partition, offset, count, RecordKind(kind), tenant, arrival_ms, payload)
        intact = record_hash(record) == stored_hash
    except (ValueError, struct.error) as error:
        raise CorruptError(f"{where}: the record is none: {error}") from error
    if not intact:
        raise CorruptError(f"{where}: the record does not match its hash")
    return record


@dataclass(frozen=True, slots=True)
class Answer:
    """What a producer's sequence was answered, so that a repeat gets the same."""

    tenant: str
    producer: str
    sequence: str
    arrival_ms: int
    fingerprint: bytes
    offsets: tuple[int, ...]
    answer: bytes

    @classmethod
    def to(cls, append: Append, offsets: tuple[int, ...]) -> Answer:
        return cls(
            append.tenant,
            append.producer,
            append.sequence,
            append.arrival_ms,
            append.fingerprint,
            offsets,
            append.answer,
        )

    @property
    def key(self) -> int:
        """The 64-bit hash by which the answer is looked for."""
        return answer_key(self.tenant, self.producer, self.sequence)

    def check(self, fingerprint: bytes) -> None:
        """ConflictError unless the repeat has the body of the first."""
        if fingerprint != self.fingerprint:
            raise ConflictError(
                f"id_conflict: sequence {self.sequence!r} of producer {self.producer!r} came before with "
                "another body: give every body a sequence of its own"
            )


def answer_key(tenant: str, producer: str, sequence: str) -> int:
    """A 64-bit hash of the three names; different triples may share it, so that a hit must be checked."""
    return xxhash.xxh3_64_intdigest("\0".join((tenant, producer, sequence)).encode())


def answer_row(answer: Answer) -> tuple[Any, ...]:
    """The answer as the columns of table `answer`."""
    row = (*_ANSWER_COLUMNS(answer), pack_offsets(answer.offsets), answer.answer)
    return (*row, row_hash(row))


def answer_bytes(answer: Answer) -> int:
    """What the answer weighs, as the queries `answer_bytes` reckon it."""
    names = sum(len(name.encode()) for name in (answer.tenant, answer.producer, answer.sequence))
    offsets = len(pack_offsets(answer.offsets))
    return names + len(answer.fingerprint) + offsets + len(answer.answer) + _ANSWER_ROW_BYTES


def answer_of(row: tuple[Any, ...], place: str) -> Answer:
    """The answer in a row; CorruptError if it was altered."""
    checked = check_row(row, f"{place}: answer to producer {row[1]!r}")
    tenant, producer, sequence, arrival_ms, fingerprint, offsets, answer = checked
    return Answer(tenant, producer, sequence, arrival_ms, fingerprint, unpack_offsets(offsets), answer)


def dead_letter_row(stored: StoredDeadLetter) -> tuple[Any, ...]:
    """The dead letter as the columns of table `dead_letter`.

    Form and sender stand behind the source, in its column: the row's hash covers them, and the rows of
    sealed segments, which no migration may touch, stay readable.
    """
    letter = stored.letter
    words = (letter.source, letter.form, letter.sender) if letter.form or letter.sender else (letter.source,)
    row = (stored.id, letter.tenant, letter.arrival_ms, _WORD_END.join(words), *_LETTER_COLUMNS(letter))
    return (*row, row_hash(row))


def dead_letter_of(row: tuple[Any, ...], place: str) -> StoredDeadLetter:
    """The dead letter in a row; CorruptError if it was altered."""
    number, tenant, arrival_ms, words, *columns = check_row(row, f"{place}: dead letter {row[0]}")
    source, *rest = words.split(_WORD_END)
    return StoredDeadLetter(number, DeadLetter(tenant, arrival_ms, source, *columns, *rest))


def pack_offsets(offsets: Iterable[int]) -> bytes:
    """Offsets as int64, little-endian."""
    values = tuple(offsets)
    return struct.pack(f"<{len(values)}q", *values)


def unpack_offsets(packed: bytes) -> tuple[int, ...]:
    """The offsets in `packed`.

    >>> unpack_offsets(pack_offsets([0, 5_000]))
    (0, 5000)
    """
    return struct.unpack(f"<{len(packed) // 8}q", packed)
