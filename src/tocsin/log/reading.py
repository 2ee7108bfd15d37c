"""Reads records across segments, for the log itself and for whoever only looks into its folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tocsin.errors import CorruptError, NotFoundError, StorageUnavailableError
from tocsin.log.abstract import Record
from tocsin.log.segment import TUNING, Segment, segment_path

_MIB: Final = 1 << 20
_FILE: Final = re.compile(r"segment-(\d{12})\.db")
_TRIES: Final = 10


def read_across(
    segments: Sequence[Segment],
    partition: int,
    offset: int,
    end: int,
    bytes_max: int,
    touch: Callable[[Segment], None],
) -> list[Record]:
    """As Log.read, for an offset below `end`; `touch` hears of each segment before it is read."""
    records: list[Record] = []
    size = 0
    while offset < end and size < bytes_max:
        segment = _holder(segments, partition, offset)
        touch(segment)
        more = segment.read(partition, offset, bytes_max - size)
        if records and size + len(more[0].payload) > bytes_max:
            break
        records += more
        size += sum(len(record.payload) for record in more)
        offset = records[-1].next_offset
    return records


def check_kept(segments: Sequence[Segment], partition: int, offset: int) -> None:
    """NotFoundError if the offset was trimmed."""
    begin = segments[0].begins[partition]
    if offset < begin:
        raise NotFoundError(f"offset {offset} of partition {partition} was trimmed; the oldest is {begin}")


def _holder(segments: Sequence[Segment], partition: int, offset: int) -> Segment:
    check_kept(segments, partition, offset)
    return next(segment for segment in reversed(segments) if segment.begins[partition] <= offset)


class LogFolder:
    """What was durable in a log's folder when it was opened; for a process beside the one that appends.

    Nothing is written. Trimming by the other process shows as NotFoundError: open again and go on from
    `begin`. Not thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._segments, self._ends = _look_into(folder)
        self.partitions: Final = len(self._ends)

    def begin(self, partition: int) -> int:
        """The oldest offset still kept."""
        return self._segments[0].begins[partition]

    def end(self, partition: int) -> int:
        """The offset after the newest record."""
        return self._ends[partition]

    def read(self, partition: int, offset: int, *, bytes_max: int = 8 * _MIB) -> list[Record]:
        """As Log.read."""
        try:
            return read_across(
                self._segments, partition, offset, self._ends[partition], bytes_max, self._release_others
            )
        except (StorageUnavailableError, CorruptError):
            if not self._segments[0].path.exists():
                raise NotFoundError(f"offset {offset} of partition {partition} was trimmed") from None
            raise

    def close(self) -> None:
        """Close all files; idempotent."""
        for segment in self._segments:
            segment.close()

    def _release_others(self, segment: Segment) -> None:
        for other in self._segments:
            if other is not segment:
                other.release()


def _look_into(folder: Path) -> tuple[tuple[Segment, ...], tuple[int, ...]]:
    """The segments and the ends; again when another process trims in between."""
    for _ in range(_TRIES):
        try:
            segments = tuple(Segment(path, TUNING) for path in _paths(folder))
            return segments, segments[-1].ends()
        except StorageUnavailableError:
            continue
    raise StorageUnavailableError(f"{folder} can't be read: its segments change too fast")


def _paths(folder: Path) -> list[Path]:
    numbers = sorted(int(match[1]) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name)))
    if not numbers:
        raise NotFoundError(f"{folder} holds no log")
    return [segment_path(folder, number) for number in numbers]
