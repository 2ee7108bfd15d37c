"""The segments of a log folder, oldest first: opened, continued, read across, trimmed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import CorruptError, InvalidInputError, StorageUnavailableError
from tocsin.log.abstract import Record, StoredDeadLetter
from tocsin.log.answers import AnswerBook
from tocsin.log.bounds import Bounds
from tocsin.log.kept import KeptStore
from tocsin.log.reading import check_kept, read_across
from tocsin.log.segment import Group, Segment, remove_database, segment_path
from tocsin.log.settling import Settler
from tocsin.storage.database import Tuning
from tocsin.storage.faults import end_process, storage_faults
from tocsin.storage.files import remove, sync_directory
from tocsin.storage.lock import FolderLock

_FILE: Final = re.compile(r"segment-(\d{12})\.(db|new)(-wal|-shm)?")
_OPEN_SEALED_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment as `tocsin doctor` lists it; offsets by partition, `ends` exclusive."""

    name: str
    bytes: int
    begins: tuple[int, ...]
    ends: tuple[int, ...]


class Catalogue:
    """All segments; the last one, the active, takes the groups. One thread appends, any may read."""

    def __init__(self, folder: Path, partitions: int, clock: Clock, tuning: Tuning, bounds: Bounds) -> None:
        self._folder = folder
        self._clock = clock
        self._tuning = tuning
        self._lock = threads.lock()
        self._settling = threads.lock()
        self._trimming = threads.lock()
        self._open_sealed: list[Segment] = []
        with ExitStack() as opened:
            self._folder_lock = FolderLock(folder)
            opened.callback(self._folder_lock.close)
            self._kept = KeptStore(folder / "kept.db", Tuning(vfs=tuning.vfs), bounds.dead_letters)
            opened.callback(self._kept.close)
            self.book = AnswerBook(self._kept, clock, bounds.answers)
            self._segments = self._open(partitions, opened)
            opened.pop_all()
        self._settler = Settler(self.settle)
        self._settler.wake()

    @property
    def active(self) -> Segment:
        """The segment that groups are added to."""
        return self._segments[-1]

    @property
    def begins(self) -> tuple[int, ...]:
        """The oldest offset kept of each partition."""
        return self._segments[0].begins

    @property
    def dead_letters_dropped(self) -> int:
        """Dead letters that were settled and went for newer ones."""
        return self._kept.dropped

    def add(self, group: Group) -> None:
        """Add the group to the active segment, synced on return."""
        segment = self.active
        segment.add(group)
        for answer in group.answers:
            self.book.add(segment, answer)

    def roll(self, ends: Sequence[int], last_dead_letter: int) -> None:
        """Seal the active segment and go on with a new one that begins at `ends`."""
        sealed = self.active
        number, now_ms = sealed.number + 1, self._clock.now_ms()
        segment: Segment | None = None
        try:
            segment = Segment.create(self._folder, number, ends, last_dead_letter + 1, now_ms, self._tuning)
            segment.start_writing()
            self.book.open_segment(segment)
        except BaseException:
            self._take_back(number, segment)
            raise
        with self._lock:
            self._segments = (*self._segments, segment)
        sealed.stop_writing()
        self._touch(sealed)
        self._settler.wake()

    def _take_back(self, number: int, segment: Segment | None) -> None:
        """Remove a segment that never got a record, durably, since the one before it goes on growing.

        It may have its name already though opening it has failed: a start would then begin behind it.
        """
        path = segment_path(self._folder, number)
        try:
            if segment is not None:
                segment.close()
            remove_database(path)
        except OSError as error:
            end_process(f"{path} can't be removed: {error}")
        sync_directory(self._folder)

    def read(self, partition: int, offset: int, end: int, bytes_max: int) -> list[Record]:
        """As Log.read, from the files, for an offset below `end`."""
        try:
            return read_across(self._segments, partition, offset, end, bytes_max, self._touch)
        except (StorageUnavailableError, CorruptError):
            self.check_kept(partition, offset)  # trimmed in the meantime? then that is the answer
            raise

    def check_kept(self, partition: int, offset: int) -> None:
        """NotFoundError if the offset was trimmed."""
        check_kept(self._segments, partition, offset)

    def _touch(self, segment: Segment) -> None:
        """Keep only the sealed segments used last open."""
        if segment is self.active:
            return
        with self._lock:
            self._open_sealed = [segment, *(other for other in self._open_sealed if other is not segment)]
            idle, self._open_sealed = (
                self._open_sealed[_OPEN_SEALED_MAX:],
                self._open_sealed[:_OPEN_SEALED_MAX],
            )
        for other in idle:
            other.release()

    def make_room(self) -> None:
        """Have expired answers forgotten soon, in the background."""
        self._settler.wake()

    def settle(self) -> bool:
        """Copy answers and dead letters of sealed segments to where they outlive them.

        False if the log began to close before the end.
        """
        with self._settling:
            unsettled = (segment for segment in self._segments[:-1] if segment.number > self._kept.settled)
            done = all(self.book.settle(segment, self._settler.closing) for segment in unsettled)
            self.book.forget(self._settler.closing)
            return done

    def trim(self, safe: Mapping[int, int]) -> int:
        """As Log.trim."""
        with self._trimming:
            segments = self._segments
            count = 0
            for segment, following in pairwise(segments):
                if not _is_safe(segment.begins, following.begins, safe):
                    break
                count += 1
            if not count or not self.settle():
                return 0
            self._delete(segments[:count])
            return count

    def _delete(self, segments: Sequence[Segment]) -> None:
        with self._settling:
            self._kept.mark_trimmed(segments[-1].number)
            with self._lock:
                self._segments = tuple(s for s in self._segments if s.number > segments[-1].number)
            for segment in segments:
                segment.close()
                with storage_faults(str(segment.path)):
                    remove_database(segment.path)
            sync_directory(self._folder)

    def dead_letters(self, tenant: str, after_id: int, limit: int) -> list[StoredDeadLetter]:
        """As Log.dead_letters; segments are read before what was kept, so that a move hides none."""
        found: dict[int, StoredDeadLetter] = {}
        for segment in self._segments:
            if segment.number > self._kept.settled:
                found |= self._dead_letters_of(segment, tenant, after_id, limit)
        found |= {stored.id: stored for stored in self._kept.dead_letters(tenant, after_id, limit)}
        return [found[number] for number in sorted(found)[:limit]]

    def _dead_letters_of(
        self, segment: Segment, tenant: str, after_id: int, limit: int
    ) -> dict[int, StoredDeadLetter]:
        try:
            return {stored.id: stored for stored in segment.dead_letters(tenant, after_id, limit)}
        except StorageUnavailableError:
            if segment.number > self._kept.settled:
                raise
            return {}  # trimmed in the meantime

    def infos(self, ends: Sequence[int]) -> list[SegmentInfo]:
        """The segments, oldest first; the active one ends at `ends`."""
        segments = self._segments
        nexts = [*(segment.begins for segment in segments[1:]), tuple(ends)]
        return [
            SegmentInfo(segment.path.name, _size(segment.path), segment.begins, after)
            for segment, after in zip(segments, nexts, strict=True)
        ]

    def verify(self, ends: Sequence[int]) -> list[str]:
        """What is wrong with the stored bytes; reads all of them. The active segment is read up to `ends`."""
        problems = self._kept.verify()
        segments = self._segments
        nexts = [*(segment.begins for segment in segments[1:]), tuple(ends)]
        for segment, after in zip(segments, nexts, strict=True):
            problems += segment.verify(after)
        return problems

    def newest_arrival_ms(self) -> int | None:
        """The latest time at which a record arrived, of all that are kept."""
        found = [segment.newest_arrival_ms() for segment in self._segments]
        return max((ms for ms in found if ms is not None), default=None)

    def tell(self, address: str) -> None:
        """Leave an address in the folder for whoever finds it in use."""
        self._folder_lock.tell(address)

    def close(self) -> None:
        """Close every file; idempotent."""
        self._settler.close()
        for segment in self._segments:
            segment.close()
        self._kept.close()
        self._folder_lock.close()

    def _open(self, partitions: int, opened: ExitStack) -> tuple[Segment, ...]:
        segments = self._find_segments(partitions)
        for segment in segments:
            opened.callback(segment.close)
        for segment in segments:
            self._check_partitions(segment, partitions)
        segments[-1].start_writing()
        for segment in segments:
            if segment.number > self._kept.settled:
                self.book.open_segment(segment)
        return segments

    def _find_segments(self, partitions: int) -> tuple[Segment, ...]:
        numbers = self._clear_refuse()
        if not numbers and self._kept.trimmed:
            raise CorruptError(f"{self._folder}: all segments after {self._kept.trimmed} are missing")
        if not numbers:
            first = Segment.create(self._folder, 1, [0] * partitions, 1, self._clock.now_ms(), self._tuning)
            return (first,)
        expected = range(self._kept.trimmed + 1, numbers[-1] + 1)
        if missing := sorted(set(expected) - set(numbers)):
            raise CorruptError(f"{segment_path(self._folder, missing[0])} is missing")
        return tuple(Segment(segment_path(self._folder, number), self._tuning) for number in expected)

    def _clear_refuse(self) -> list[int]:
        """Finish what a crash interrupted; the numbers of the segments that are left."""
        numbers = []
        with storage_faults(str(self._folder)):
            for path in sorted(self._folder.iterdir()):
                if (match := _FILE.fullmatch(path.name)) is None:
                    continue
                number = int(match[1])
                if match[2] == "new" or number <= self._kept.trimmed:
                    remove(path)
                elif match[3] is None:
                    numbers.append(number)
        sync_directory(self._folder)
        return numbers

    def _check_partitions(self, segment: Segment, partitions: int) -> None:
        if segment.partitions != partitions:
            raise InvalidInputError(
                f"{self._folder} was made with {segment.partitions} partitions and can't be opened with "
                f"{partitions}: set the number back, or start with an empty folder"
            )


def _is_safe(begins: Sequence[int], ends: Sequence[int], safe: Mapping[int, int]) -> bool:
    """Whether all records between the two lie below `safe`."""
    return all(
        begin == end or end <= safe.get(partition, 0)
        for partition, (begin, end) in enumerate(zip(begins, ends, strict=True))
    )


def _size(path: Path) -> int:
    """Bytes of a database on disk, its write-ahead log included; what is trimmed meanwhile counts nothing."""
    size = 0
    for file in (path, path.with_name(path.name + "-wal")):
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size
