"""No byte of a lake file is used before all of them were compared with the hash in the file's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

from tocsin.clock import Clock
from tocsin.errors import CorruptError
from tocsin.lake.files import LakeFile
from tocsin.observability.logging import get_logger

TRUSTED_MS: Final = 24 * 3_600_000
"""How long a comparison holds for a file that nobody has written since: disks decay without a write."""

REMEDY: Final = "stop the server and run `tocsin lake repair`"

_PRUNED_FROM: Final = 10_000
_PIECE_BYTES: Final = 1 << 20
_NAMED_MAX: Final = 3

_log = get_logger("lake")


@dataclass(frozen=True, slots=True)
class _State:
    """What changes when a file is written or replaced."""

    size_bytes: int
    written_ns: int
    inode: int


_UNKNOWN: Final = _State(-1, -1, -1)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a comparison found ("" = nothing wrong), of which state of the file, and when."""

    problem: str
    state: _State
    at_ms: int


class Verified:
    """Remembers how each file compared with its hash; a process reads each once a day for it. Thread-safe.

    What it holds is bounded by the files that a lake has within a day, some 300 bytes each.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._compared: dict[Path, _Compared] = {}
        self._pruned_from = _PRUNED_FROM

    def require(self, folder: Path, entries: Sequence[LakeFile]) -> None:
        """CorruptError names the files below `folder` that are not as they were written, and the remedy."""
        problems = [(entry.path, self.problem(folder, entry)) for entry in entries]
        damaged = [f"lake/{folder.name}/{path} {problem}" for path, problem in problems if problem]
        if damaged:
            raise CorruptError(f"{listed(damaged)}; nothing was read from it: {REMEDY}")

    def problem(self, folder: Path, entry: LakeFile) -> str:
        """What is wrong with a file, in words; "" = nothing. Reads it unless that was done lately."""
        known = self._compared.get(folder / entry.path)
        if known is None or self._is_old(known) or known.state != _state(folder / entry.path):
            return self.compare(folder, entry)
        return known.problem

    def compare(self, folder: Path, entry: LakeFile) -> str:
        """Read a file in any case; what is wrong with it."""
        path, now_ms = folder / entry.path, self._clock.now_ms()
        known = self._compared.get(path)
        try:
            state = _state(path)  # before: what is written while it is read makes it unknown again
            found = _Compared(_problem(path, entry), state, now_ms)
        except OSError as error:
            found = _Compared(f"can't be read: {error.strerror}", _UNKNOWN, now_ms)
        if len(self._compared) >= self._pruned_from:
            self._prune()
        self._compared[path] = found
        if found.problem and (known is None or known.problem != found.problem):
            _log.error("lake_file_damaged", path=str(path), problem=found.problem, remedy=REMEDY)
        return found.problem

    def waiting(self, folder: Path, entry: LakeFile) -> bool:
        """Whether a file was not compared within the last day."""
        known = self._compared.get(folder / entry.path)
        return known is None or self._is_old(known)

    def known_problem(self, folder: Path, entry: LakeFile) -> str:
        """What was found wrong with a file; it is read again only if it was damaged and has changed."""
        known = self._compared.get(folder / entry.path)
        return self.problem(folder, entry) if known is not None and known.problem else ""

    @property
    def damaged(self) -> int:
        """How many files are known to be damaged."""
        return sum(bool(known.problem) for known in list(self._compared.values()))

    def suspect(self, path: Path, problem: str) -> None:
        """Say that a file was damaged when somebody looked before; it is compared when it is asked for."""
        self._compared[path] = _Compared(problem, _UNKNOWN, self._clock.now_ms())

    def _prune(self) -> None:
        """Forget files that were in order and would be compared again anyway, as those that were merged."""
        kept = {
            path: known for path, known in list(self._compared.items()) if not self._is_forgettable(known)
        }
        self._compared = kept
        self._pruned_from = max(_PRUNED_FROM, 2 * len(kept))

    def _is_forgettable(self, known: _Compared) -> bool:
        return not known.problem and self._is_old(known)

    def _is_old(self, known: _Compared) -> bool:
        return not 0 <= self._clock.now_ms() - known.at_ms < TRUSTED_MS


def _state(path: Path) -> _State:
    try:
        stat = path.stat()
    except OSError:
        return _UNKNOWN
    return _State(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def listed(damaged: Sequence[str]) -> str:
    """The first few of many problems."""
    more = f"; and {len(damaged) - _NAMED_MAX} more" if len(damaged) > _NAMED_MAX else ""
    return "; ".join(damaged[:_NAMED_MAX]) + more


def _problem(path: Path, entry: LakeFile) -> str:
    hashed, size_bytes = xxhash.xxh3_128(), 0
    piece = bytearray(_PIECE_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            hashed.update(memoryview(piece)[:count])
            size_bytes += count
    if size_bytes != entry.size_bytes:
        return f"has {size_bytes} bytes instead of {entry.size_bytes}"
    return "" if hashed.hexdigest() == entry.content_hash else "does not match its hash"
