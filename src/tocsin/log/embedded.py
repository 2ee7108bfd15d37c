"""The embedded log: segments in SQLite files, one writer thread, group commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import BackpressureError, TocsinError
from tocsin.log.abstract import Append, Appended, Log, Record, StoredDeadLetter
from tocsin.log.bounds import AnswerBounds, Bounds, DeadLetterBounds
from tocsin.log.catalogue import Catalogue, SegmentInfo
from tocsin.log.group_commit import GroupQueue, Pending
from tocsin.log.planning import Plan
from tocsin.log.segment import TUNING
from tocsin.log.tail import Tail

_MIB: Final = 1 << 20


class EmbeddedLog(Log):
    """One process, one folder. A group of appends is one transaction with one fsync."""

    def __init__(
        self,
        folder: Path,
        partitions: int,
        clock: Clock,
        *,
        segment_bytes_max: int = 256 * _MIB,
        queue_bytes_max: int = 64 * _MIB,
        group_bytes_max: int = 8 * _MIB,
        tail_bytes_max: int = 64 * _MIB,
        dead_letters: DeadLetterBounds | None = None,
        answers: AnswerBounds | None = None,
        vfs: str | None = None,
        on_group: Callable[[int, float], None] = lambda _appends, _seconds: None,
    ) -> None:
        """`on_group` hears of each group that was written: its appends, and how long that took."""
        self.partitions = partitions
        self._clock = clock
        self._on_group = on_group
        self._segment_bytes_max = segment_bytes_max
        bounds = Bounds(dead_letters or DeadLetterBounds(), answers or AnswerBounds())
        self._catalogue = Catalogue(folder, partitions, clock, replace(TUNING, vfs=vfs), bounds)
        try:
            self._ends = self._catalogue.active.ends()
            self._segment_bytes = self._catalogue.active.size_bytes()
            self._last_dead_letter = self._catalogue.active.last_dead_letter()
        except BaseException:
            self._catalogue.close()
            raise
        self._tail = Tail(partitions, tail_bytes_max)
        self._queue = GroupQueue(queue_bytes_max, group_bytes_max)
        self._grown = threads.condition()
        self._closed = False
        self._failure: BaseException | None = None
        self._writer = threads.start("log-writer", self._write_groups)

    def submit(self, append: Append) -> threads.Future[Appended]:
        for part in append.parts:
            self._check_partition(part.partition)
            if part.count < 1:
                raise ValueError(f"a part takes at least one offset, not {part.count}")
        if self._failure is not None:
            raise BackpressureError(
                f"the log has stopped: {self._failure!r}: restart Tocsin", retry_after_s=5
            )
        return self._queue.put(append)

    def find_answer(self, tenant: str, producer: str, sequence: str, fingerprint: bytes) -> bytes | None:
        found = self._catalogue.book.find(tenant, producer, sequence)
        if found is None:
            return None
        found.check(fingerprint)
        return found.answer

    def read(self, partition: int, offset: int, *, bytes_max: int = 8 * _MIB) -> list[Record]:
        end = self.end(partition)
        if offset >= end:
            return []
        self._catalogue.check_kept(partition, offset)
        recent = self._tail.read(partition, offset, bytes_max)
        return self._catalogue.read(partition, offset, end, bytes_max) if recent is None else recent

    def begin(self, partition: int) -> int:
        self._check_partition(partition)
        return self._catalogue.begins[partition]

    def end(self, partition: int) -> int:
        self._check_partition(partition)
        return self._ends[partition]

    def wait(self, partition: int, offset: int, timeout_s: float) -> bool:
        self._check_partition(partition)
        with self._grown:
            self._grown.wait_for(lambda: self._ends[partition] > offset or self._closed, timeout_s)
            if self._failure is not None:
                raise TocsinError(f"the log has stopped: {self._failure!r}")
            return self._ends[partition] > offset

    def trim(self, safe: Mapping[int, int]) -> int:
        return self._catalogue.trim(safe)

    def dead_letters(self, tenant: str, *, after_id: int = 0, limit: int = 100) -> list[StoredDeadLetter]:
        return self._catalogue.dead_letters(tenant, after_id, limit)

    def dead_letter(self, tenant: str, letter_id: int) -> StoredDeadLetter | None:
        found = self.dead_letters(tenant, after_id=letter_id - 1, limit=1)
        return found[0] if found and found[0].id == letter_id else None

    @property
    def queued_bytes(self) -> int:
        """What waits to be synced."""
        return self._queue.bytes

    @property
    def dead_letters_dropped(self) -> int:
        """Dead letters that went for newer ones, ever."""
        return self._catalogue.dead_letters_dropped

    def segments(self) -> list[SegmentInfo]:
        """What lies on disk, oldest first."""
        return self._catalogue.infos(self._ends)

    def newest_arrival_ms(self) -> int | None:
        """The latest time at which a record arrived, of all that are kept; None without any."""
        return self._catalogue.newest_arrival_ms()

    def verify(self) -> list[str]:
        """Check every stored record, answer and dead letter against its hash; what is wrong, in words."""
        return self._catalogue.verify(self._ends)

    def tell(self, address: str) -> None:
        """Leave the address of this process in the folder, for whoever finds it in use."""
        self._catalogue.tell(address)

    def close(self) -> None:
        self._queue.close()
        self._writer.join()
        with self._grown:
            self._closed = True
            self._grown.notify_all()
        self._catalogue.close()

    def _write_groups(self) -> None:
        """The writer thread; a failure that is no answer stops the log and shows in every future."""
        group: list[Pending] = []
        try:
            while group := self._queue.take():
                self._roll_when_full()
                self._write_group(group)
        except BaseException as error:
            with self._grown:
                self._failure = error
                self._grown.notify_all()
            self._queue.close()
            self._fail(group, error)
            while group := self._queue.take():
                self._fail(group, error)
            raise

    def _write_group(self, group: list[Pending]) -> None:
        plan = Plan(self._ends, self._last_dead_letter, self._catalogue.book)
        try:
            for pending in group:
                plan.add(pending)
            started_s = self._clock.monotonic_s()
            self._catalogue.add(plan.group())
        except TocsinError as error:
            self._fail(group, error)
            return
        if plan.crowded:
            self._catalogue.make_room()
        took_s = self._clock.monotonic_s() - started_s
        self._publish(plan)
        for pending, outcome in plan.outcomes:
            if isinstance(outcome, Appended):
                pending.future.set_result(outcome)
            else:
                pending.future.set_exception(outcome)
        self._on_group(len(group), took_s)

    def _publish(self, plan: Plan) -> None:
        """Show durable records to readers."""
        self._tail.add(plan.records)
        self._segment_bytes += plan.size_bytes
        self._last_dead_letter = plan.last_dead_letter
        with self._grown:
            self._ends = tuple(plan.ends)
            self._grown.notify_all()

    def _roll_when_full(self) -> None:
        if self._segment_bytes < self._segment_bytes_max:
            return
        with suppress(TocsinError):  # no room for another file: the segment grows until there is
            self._catalogue.roll(self._ends, self._last_dead_letter)
            self._segment_bytes = 0

    @staticmethod
    def _fail(group: list[Pending], error: BaseException) -> None:
        for pending in group:
            if not pending.future.done():
                pending.future.set_exception(error)

    def _check_partition(self, partition: int) -> None:
        if not 0 <= partition < self.partitions:
            raise ValueError(f"there is no partition {partition} of {self.partitions}")
