"""Dumps as workers get them: files of the blob store, and how much there is in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tocsin.control import DumpReceived
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.directory import read_directory
from tocsin.dumps.ending import read_ending
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.source import FileSource

LONG_BYTES: Final = 64 << 20
_SURELY_SHORT_BYTES: Final = 64 << 10
_KNOWN_MAX: Final = 10_000


class Archives:
    """`path_of` gives the file that holds a blob. For one thread."""

    def __init__(self, path_of: Callable[[str], Path], limits: ArchiveLimits | None = None) -> None:
        self._path_of: Final = path_of
        self._limits: Final = limits or ArchiveLimits()
        self._long: OrderedDict[str, bool] = OrderedDict()

    def path(self, dump: DumpReceived) -> Path:
        """The dump's archive."""
        return self._path_of(dump.sha256)

    def dictionary(self, dump: DumpReceived) -> Path | None:
        """The dictionary of templates that it is judged by, None without one."""
        return self._path_of(dump.dictionary) if dump.dictionary else None

    def is_long(self, dump: DumpReceived) -> bool:
        """Whether it unpacks to more than 64 MiB, as its directory says; reads that once."""
        if dump.size_bytes > LONG_BYTES:
            return True
        if dump.sha256 not in self._long:
            self._long[dump.sha256] = self._unpacked_bytes(dump) > LONG_BYTES
            while len(self._long) > _KNOWN_MAX:
                self._long.popitem(last=False)
        return self._long[dump.sha256]

    def _unpacked_bytes(self, dump: DumpReceived) -> int:
        """What its directory says; 0 for one that can't be read, which its step will say."""
        if 0 < dump.size_bytes <= _SURELY_SHORT_BYTES:
            return dump.size_bytes
        try:
            with FileSource(self.path(dump)) as source:
                entries = read_directory(source, read_ending(source, self._limits), self._limits)
        except (ArchiveError, OSError):
            return 0
        return sum(entry.unpacked_bytes for entry in entries)


def facts_of(dump: DumpReceived) -> DumpFacts:
    """What a detector is told of a dump."""
    return DumpFacts(
        sequence=dump.sequence,
        sha256=dump.sha256,
        epoch=dump.epoch,
        collected_from_ms=dump.collected_from_ms,
        collected_to_ms=dump.collected_to_ms,
        application=dump.application,
        version=dump.version,
        dictionary=dump.dictionary,
    )
