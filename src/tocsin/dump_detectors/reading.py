"""A dump as a detector sees it: an archive, read within its limits, and what the log says of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from tocsin.dump_detectors.abstract import Line
from tocsin.dump_detectors.stamps import line_ms
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.archive import Archive, Member
from tocsin.dumps.faults import ArchiveError
from tocsin.templates.dictionary import Dictionary


class ArchiveDump:
    """The dump of an open archive. `fault` tells that reading failed, even to those who swallow errors."""

    def __init__(self, facts: DumpFacts, archive: Archive, dictionary: Dictionary | None = None) -> None:
        self._facts = facts
        self._dictionary = dictionary
        self._members = [ArchiveMember(member, self._failed) for member in archive.members]
        self.fault: Exception | None = None

    @property
    def sequence(self) -> int:
        return self._facts.sequence

    @property
    def epoch(self) -> int:
        return self._facts.epoch

    @property
    def sha256(self) -> str:
        return self._facts.sha256

    @property
    def collected_from_ms(self) -> int | None:
        return self._facts.collected_from_ms

    @property
    def collected_to_ms(self) -> int | None:
        return self._facts.collected_to_ms

    @property
    def application(self) -> str:
        return self._facts.application

    @property
    def version(self) -> str:
        return self._facts.version

    @property
    def dictionary(self) -> Dictionary | None:
        return self._dictionary

    def members(self) -> Sequence[ArchiveMember]:
        return self._members

    def _failed(self, error: Exception) -> None:
        self.fault = self.fault or error


class ArchiveMember:
    """One file of it."""

    def __init__(self, member: Member, failed: Callable[[Exception], None]) -> None:
        self._member = member
        self._failed = failed

    @property
    def name(self) -> str:
        return self._member.name

    @property
    def component(self) -> str:
        return component_of(self._member.name)

    @property
    def size_bytes(self) -> int:
        return self._member.size_bytes

    def lines(self) -> Iterator[Line]:
        for number, raw in enumerate(self._watched(self._member.lines()), 1):
            text = raw.decode("utf-8", "replace")
            yield Line(number, text, line_ms(text))

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Stream(self._watched(self._member.plain())))

    def _watched(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except (ArchiveError, OSError) as error:
            self._failed(error)
            raise


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(target), len(self._rest))
        target[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def component_of(name: str) -> str:
    """Which part of the device a member is the log of.

    >>> component_of("engine/engine.log"), component_of("door.log.1.gz"), component_of(".hidden")
    ('engine', 'door', '.hidden')
    """
    folder, slash, _ = name.partition("/")
    return folder if slash else name[:1] + name[1:].partition(".")[0]
