"""An archive of logs: its members, their bytes and their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from tocsin.dumps.directory import read_directory
from tocsin.dumps.ending import read_ending
from tocsin.dumps.entry import Entry
from tocsin.dumps.faults import ZipLimitError
from tocsin.dumps.layout import data_offsets
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.lines import line_blocks
from tocsin.dumps.source import Source
from tocsin.dumps.unpacking import gunzip, unpack
from tocsin.visible import visible

_GZ: Final = ".gz"


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive was proved to hold. `bytes` counts unpacked ones, nested .gz as they lie there."""

    members: int
    bytes: int


@dataclass(slots=True)
class _Sum:
    """The sum of the greatest number of each member."""

    total: int = 0
    greatest: dict[int, int] = field(default_factory=dict)

    def with_one(self, offset: int, number: int) -> int:
        """The sum with the number of the member at `offset`, which may grow."""
        if (more := number - self.greatest.get(offset, 0)) > 0:
            self.greatest[offset] = number
            self.total += more
        return self.total


@dataclass(slots=True)
class _Budget:
    """Bytes and streams out of nested .gz, each member counted once however often it is read."""

    bytes_max: int
    streams_max: int
    unpacked: _Sum = field(default_factory=_Sum)
    streams: _Sum = field(default_factory=_Sum)

    def take(self, offset: int, total: int, streams: int) -> None:
        """What the member at `offset` has given so far; ZipLimitError when all are too much."""
        if self.unpacked.with_one(offset, total) > self.bytes_max:
            raise ZipLimitError(f"The members unpack to more than {self.bytes_max} bytes.")
        if self.streams.with_one(offset, streams) > self.streams_max:
            raise ZipLimitError(f"The .gz members hold more than {self.streams_max} gzip streams.")


class Member:
    """One file of an archive. Reading raises an ArchiveError, at the end at the latest, if it is bad."""

    def __init__(
        self, source: Source, entry: Entry, start: int, limits: ArchiveLimits, budget: _Budget
    ) -> None:
        self._source = source
        self._entry = entry
        self._start = start
        self._limits = limits
        self._budget = budget

    @property
    def name(self) -> str:
        """As it stands in the archive: to be shown as `visible`, never to be used as a path."""
        return self._entry.name

    @property
    def size_bytes(self) -> int:
        """Unpacked, a nested .gz as it lies there."""
        return self._entry.unpacked_bytes

    def chunks(self) -> Iterator[bytes]:
        """Its bytes as they lie in the archive, a nested .gz still packed, in bounded pieces."""
        return unpack(self._source, self._entry, self._start, self._limits)

    def plain(self) -> Iterator[bytes]:
        """Its bytes, a nested .gz unpacked, in bounded pieces."""
        pieces = self.chunks()
        for _ in range(_layers(self.name)):
            pieces = gunzip(pieces, self.name, self._limits, self._took)
        return pieces

    def blocks(self) -> Iterator[list[bytes]]:
        """Its lines as `line_blocks` cuts them, a nested .gz unpacked; the fastest way to all of them."""
        return line_blocks(self.plain(), self._limits.line_bytes_max)

    def lines(self) -> Iterator[bytes]:
        """Its lines one by one."""
        return chain.from_iterable(self.blocks())

    def _took(self, total: int, streams: int) -> None:
        if total > self._limits.member_bytes_max:
            detail = f"'{visible(self.name)}' unpacks to more than {self._limits.member_bytes_max} bytes."
            raise ZipLimitError(detail)
        self._budget.take(self._entry.offset, total, streams)


class Archive:
    """Opens an archive by its directory; every header is checked at once, contents when they are read.

    Costs the directory in memory and one read a member. Raises an ArchiveError.
    """

    def __init__(self, source: Source, limits: ArchiveLimits | None = None) -> None:
        bounds = limits or ArchiveLimits()
        ending = read_ending(source, bounds)
        entries = read_directory(source, ending, bounds)
        budget = _Budget(bounds.bytes_max, bounds.gz_streams_max)
        starts = data_offsets(source, entries, ending.directory_offset)
        self._all: Final = [
            Member(source, entry, start, bounds, budget) for entry, start in zip(entries, starts, strict=True)
        ]
        for entry in entries:
            if _layers(entry.name) > bounds.nesting_max:
                raise ZipLimitError(
                    f"'{visible(entry.name)}' is packed more than {bounds.nesting_max} times."
                )
        self.members: Final = tuple(
            member for member, entry in zip(self._all, entries, strict=True) if not entry.is_folder
        )
        """Files in the order of their bytes; folders are no members."""

    def prove(self) -> Contents:
        """Read everything once: afterwards no reading of it can fail. Blocks as long as unpacking takes."""
        for member in self._all:
            for _ in member.plain():
                pass
        return Contents(len(self.members), sum(member.size_bytes for member in self.members))


def _layers(name: str) -> int:
    """How many .gz the name ends in.

    >>> _layers("pump.log"), _layers("pump.log.gz"), _layers("PUMP.GZ.gz")
    (0, 1, 2)
    """
    count = 0
    while name.lower().endswith(_GZ):
        name = name[: -len(_GZ)]
        count += 1
    return count
