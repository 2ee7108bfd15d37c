"""One file of the log: all partitions' records from `begins` on, until the next segment takes over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from tocsin.errors import CorruptError
from tocsin.log.abstract import Record, StoredDeadLetter
from tocsin.log.bounds import DeadLetterBounds
from tocsin.log.order import RecordOrder
from tocsin.log.rows import (
    Answer,
    Row,
    answer_key,
    answer_of,
    answer_row,
    dead_letter_of,
    dead_letter_row,
    pack_offsets,
    record_of,
    record_row,
    unpack_offsets,
)
from tocsin.storage.database import Tuning, migrate, open_database
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import remove, rename, sync_directory
from tocsin.storage.hashing import check_row, row_hash
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

SCRIPTS: Final = load_scripts("tocsin.log", "segment")
_SQL: Final = SCRIPTS.queries
_NAME: Final = "segment-{:012}.db"
_NEW: Final = ".new"
TUNING: Final = Tuning(page_bytes=16384, merge_on_close=False)
_MERGE_BYTES_MIN: Final = 16 << 20
_MERGE_FACTOR: Final = 4


@dataclass(frozen=True, slots=True)
class Group:
    """What one transaction adds to a segment."""

    records: Sequence[Record]
    answers: Sequence[Answer]
    dead_letters: Sequence[StoredDeadLetter]
    size_bytes: int


class Segment:
    """Records live in the segment's write-ahead log until the whole segment is deleted (see ADR 0003).

    Reads are thread-safe. One thread writes, after `start_writing`.
    """

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self.path = path
        self._tuning = tuning
        self._readers = Readers(path, tuning)
        self._writer: Writer | None = None
        self._unmerged_bytes = 0
        self.number, self.begins, self.first_dead_letter = _describe(path, tuning, self._readers)

    @property
    def partitions(self) -> int:
        """How many partitions the log has."""
        return len(self.begins)

    @classmethod
    def create(
        cls,
        folder: Path,
        number: int,
        begins: Sequence[int],
        first_dead_letter: int,
        now_ms: int,
        tuning: Tuning,
    ) -> Segment:
        """A new, empty segment, whole and durable before it gets its name."""
        path = segment_path(folder, number)
        unnamed = path.with_suffix(_NEW)
        row = (number, pack_offsets(begins), first_dead_letter, now_ms)
        with storage_faults(str(path)):
            remove_database(unnamed)
            remove_database(path)
            with closing(open_database(unnamed, tuning)) as connection:
                migrate(connection, SCRIPTS)
                connection.execute(_SQL["describe"], (*row, row_hash(row)))
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            remove_database(unnamed, but_main=True)
            rename(unnamed, path)
        sync_directory(folder)
        return cls(path, tuning)

    def start_writing(self) -> None:
        """Become the segment that groups are added to."""
        self._writer = Writer(self.path, SCRIPTS, self._tuning, self._is_merge_due)

    def add(self, group: Group) -> None:
        """Add the group in one transaction, synced on return; else nothing of it is there."""
        if self._writer is None:
            raise RuntimeError(f"{self.path.name} is sealed")
        self._unmerged_bytes += group.size_bytes
        with self._writer.transaction() as writer:
            writer.executemany(_SQL["add_record"], (record_row(record) for record in group.records))
            writer.executemany(_SQL["add_answer"], (answer_row(answer) for answer in group.answers))
            letters = (dead_letter_row(letter) for letter in group.dead_letters)
            writer.executemany(_SQL["add_dead_letter"], letters)

    def _is_merge_due(self, pages: int) -> bool:
        """Whether small groups have made the write-ahead log much longer than what it holds."""
        wal_bytes = pages * self._tuning.page_bytes
        if wal_bytes < max(_MERGE_BYTES_MIN, _MERGE_FACTOR * self._unmerged_bytes):
            return False
        self._unmerged_bytes = 0
        return True

    def stop_writing(self) -> None:
        """Become read-only: the next segment has taken over, or the log closes."""
        with self._readers.lend():  # stays open, so that the write-ahead log need not be read through again
            pass
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def read(self, partition: int, offset: int, bytes_max: int) -> list[Record]:
        """Records from the one containing `offset`, which must be here: one, then up to `bytes_max`."""
        records: list[Record] = []
        size = 0
        with self._readers.lend() as reader:
            rows = reader.execute(_SQL["read_records"], {"partition": partition, "offset": offset})
            for row in rows:
                record = record_of(partition, row, self.path.name)
                if records and size + len(record.payload) > bytes_max:
                    rows.close(True)
                    break
                records.append(record)
                size += len(record.payload)
        self._check_order(partition, offset, records)
        return records

    def _check_order(self, partition: int, offset: int, records: Sequence[Record]) -> None:
        expected = offset
        for record in records:
            if not record.offset <= expected < record.next_offset:
                break
            expected = record.next_offset
        if expected == offset or expected != records[-1].next_offset:
            where = f"{self.path.name}: partition {partition}, offset {expected}"
            raise CorruptError(f"{where}: the record is missing")

    def ends(self) -> tuple[int, ...]:
        """For each partition, the offset after its last record here."""
        ends = list(self.begins)
        for partition, offset, count in self._rows("ends"):
            ends[partition] = offset + count
        return tuple(ends)

    def size_bytes(self) -> int:
        """About what the records in here weigh."""
        return int(self._rows("size_bytes")[0][0])

    def last_dead_letter(self) -> int:
        """The id of the newest dead letter up to here; 0 if there never was one."""
        newest = self._rows("last_dead_letter")[0][0]
        return self.first_dead_letter - 1 if newest is None else int(newest)

    def newest_arrival_ms(self) -> int | None:
        """The latest time at which a record arrived; None if there is none. Reads every row."""
        found = self._rows("newest_arrival")[0][0]
        return None if found is None else int(found)

    def find_answer(self, tenant: str, producer: str, sequence: str) -> Answer | None:
        """The answer given in this segment, whatever its age."""
        rows = self._rows("find_answer", (tenant, producer, sequence))
        return answer_of(rows[0], self.path.name) if rows else None

    def answer_keys(self) -> set[int]:
        """Keys of all answers in here."""
        return {answer_key(*row) for row in self._rows("answer_keys")}

    def answer_bytes(self) -> Counter[str]:
        """What the answers in here weigh, by tenant."""
        return Counter(dict(self._rows("answer_bytes")))

    def answer_rows(self, since_ms: int) -> Iterator[Row]:
        """Answers to what arrived at `since_ms` or later, as they are stored: hashes are not checked."""
        return self._stored("answers_since", (since_ms,))

    def dead_letters(self, tenant: str, after_id: int, limit: int) -> list[StoredDeadLetter]:
        """As Log.dead_letters, of this segment."""
        rows = self._rows("dead_letters", (tenant, after_id, limit))
        return [dead_letter_of(row, self.path.name) for row in rows]

    def dead_letter_tenants(self) -> list[str]:
        """Who has dead letters in here."""
        return [tenant for (tenant,) in self._rows("dead_letter_tenants")]

    def surplus(self, tenant: str, bounds: DeadLetterBounds) -> tuple[int, int]:
        """The last dead letter of the tenant that its newer ones in here leave no room for; how many go."""
        last = self._rows("surplus", (tenant, bounds.letters_max, bounds.bytes_max))[0][0]
        return last, self._rows("count_dead_letters", (tenant, last))[0][0] if last else 0

    def dead_letter_rows(self, tenant: str, after_id: int) -> Iterator[Row]:
        """The tenant's dead letters above `after_id`, as they are stored: hashes are not checked."""
        return self._stored("dead_letters_above", (tenant, after_id))

    def verify(self, ends: Sequence[int]) -> list[str]:
        """What is wrong with the stored bytes, in words; records up to `ends` must all be there."""
        order = RecordOrder(self.begins, ends)
        reads: RowReads = {
            "all_records": order.check,
            "all_answers": answer_of,
            "all_dead_letters": dead_letter_of,
        }
        problems = verify_rows(self._readers, self.path.name, reads, _SQL)
        return problems + order.finish(self.path.name)

    def release(self) -> None:
        """Spare open files until the next read."""
        self._readers.release()

    def close(self) -> None:
        """Close all connections that are not in use; idempotent."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._readers.close()

    def _stored(self, query: str, values: Row) -> Iterator[Row]:
        with self._readers.lend() as reader:
            rows = reader.execute(_SQL[query], values)
            try:
                yield from rows
            finally:
                rows.close(True)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(_SQL[query], values))


def segment_path(folder: Path, number: int) -> Path:
    """Where the segment of that number lies."""
    return folder / _NAME.format(number)


def remove_database(path: Path, *, but_main: bool = False) -> None:
    """Delete a database's files, those that are there; the caller syncs the directory."""
    suffixes: Iterable[str] = ("-wal", "-shm") if but_main else ("", "-wal", "-shm")
    for suffix in suffixes:
        remove(path.with_name(path.name + suffix))


def _describe(path: Path, tuning: Tuning, readers: Readers) -> tuple[int, tuple[int, ...], int]:
    """Number, begins and first dead letter, as a rule from the main file alone.

    They were there before the segment got its name, so the write-ahead log, which a new process has to
    read through at its first use, is left alone; unless a merge into the main file was cut off: then some
    pages of that are old and some new, and only both files together are whole.
    """
    try:
        return _description(path, _row_of_main(path, tuning))
    except CorruptError:
        if not path.with_name(f"{path.name}-wal").exists():
            raise
    with readers.lend() as reader:
        return _description(path, _row_of(path, reader))


def _description(path: Path, row: Row | None) -> tuple[int, tuple[int, ...], int]:
    if row is None:
        raise CorruptError(f"{path.name} does not say which segment it is")
    number, begins, first_dead_letter, _ = check_row(row, f"{path.name}: its description")
    return number, unpack_offsets(begins), first_dead_letter


def _row_of_main(path: Path, tuning: Tuning) -> Row | None:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    with storage_faults(str(path)):
        connection = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=flags, vfs=tuning.vfs)
        try:
            return _row_of(path, connection)
        finally:
            connection.close()


def _row_of(path: Path, connection: apsw.Connection) -> Row | None:
    try:
        row: Row | None = connection.execute(_SQL["description"]).get
    except apsw.SQLError as error:
        raise CorruptError(f"{path.name} is damaged: its schema is altered: {error}") from error
    return row
