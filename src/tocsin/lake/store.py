"""The folder of a lake: one writer's lock, the ledger, the tables, and what readers may see."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import FencedError, NotFoundError
from tocsin.lake.files import LakeFile
from tocsin.lake.ledger import Ledger
from tocsin.lake.quarantine import quarantined
from tocsin.lake.schemas import EVENTS, LOG_TABLES, TABLES
from tocsin.lake.table import LakeTable
from tocsin.lake.verifying import Verified
from tocsin.storage.files import make_directory, sync_directory
from tocsin.storage.lock import FolderInUseError

WRITER_PREFIX: Final = "partition-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What readers see: synced files of every table, and the positions that they reach."""

    folder: Path
    positions: Mapping[int, int]
    files: Mapping[str, tuple[LakeFile, ...]]
    verified: Verified

    def of(self, table: str, tenant: str) -> list[LakeFile]:
        """A tenant's files of a table."""
        return [entry for entry in self.files.get(table, ()) if entry.partition["tenant"] == tenant]

    def path(self, table: str, entry: LakeFile) -> Path:
        """Where a file of a table lies."""
        return self.folder / table / entry.path

    def readable(self, table: str, entries: Sequence[LakeFile]) -> list[str]:
        """Where files lie that are as they were written; CorruptError names those that are not.

        Whatever reads rows gets its files here, so that no damaged byte reaches a verdict or an answer.
        """
        self.verified.require(self.folder / table, entries)
        return [str(self.path(table, entry)) for entry in entries]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry for a table's log: files to add and remove, and how far writers get by it."""

    table: str
    add: Sequence[LakeFile] = ()
    remove: Sequence[LakeFile] = ()
    writers: Mapping[str, int] = field(default_factory=dict)


class LakeStore:
    """Opens the tables, commits changes and publishes them once they are synced.

    A writer locks the folder: FolderInUseError if another process has it. With `read_only` nothing is
    locked, dropped or created, and the snapshot is that of the moment of opening.
    """

    def __init__(self, folder: Path, clock: Clock, *, read_only: bool = False) -> None:
        self.folder: Final = folder
        self.clock: Final = clock
        self.writing: Final = threads.recursive_lock()
        self.read_only: Final = read_only
        self.verified: Final = Verified(clock)
        self.unnamed_since_ms: dict[Path, int] = {}
        self._lock_descriptor = -1 if read_only else _lock(folder)
        self._ledger = Ledger(folder / "synced.json")
        self._tables: dict[str, LakeTable] = {}
        self._unpublished: set[str] = set()
        self._open_tables()
        self._snapshot = self._take_snapshot()
        for damage in quarantined(folder):
            self.verified.suspect(folder / damage.table / damage.path, damage.problem)

    def table(self, name: str) -> LakeTable:
        """A table by name; one that nobody has filled yet is created. NotFoundError if it isn't declared."""
        if name not in TABLES:
            raise NotFoundError(f"there is no table {name!r} in the lake; tables: {', '.join(TABLES)}")
        if name not in self._tables:
            self.require_writing()
            with self.writing:
                if name not in self._tables:
                    self._tables[name] = LakeTable(self.folder, TABLES[name], self._ledger)
        return self._tables[name]

    def snapshot(self) -> Snapshot:
        """The files and positions that were last published; consistent, and synced."""
        return self._snapshot

    def position(self, table: str, partition: int) -> int:
        """The offset that this table has reached in a partition."""
        return self.table(table).writers.get(f"{WRITER_PREFIX}{partition}", 0)

    def commit(self, changes: Sequence[Change]) -> None:
        """Commit to each table in turn, record all of them as synced, then show them to readers."""
        self.require_writing()
        for change in changes:
            self._unpublished.add(change.table)
            self.table(change.table).commit(
                change.add,
                remove=change.remove,
                writers=change.writers,
                now_ms=self.clock.now_ms(),
            )
        self.publish()

    def publish(self) -> None:
        """Record what was committed as synced and show it; also what an earlier failure left unrecorded."""
        if self._unpublished:
            self._ledger.record({name: self._tables[name].synced for name in self._unpublished})
            self._unpublished.clear()
            self._snapshot = self._take_snapshot()

    def close(self) -> None:
        """Let another writer in; idempotent."""
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def require_writing(self) -> None:
        """FencedError when this process may not change the lake."""
        if self._lock_descriptor < 0:
            raise FencedError("this lake is closed or was opened for reading only")

    def _open_tables(self) -> None:
        required = {spec.name for spec in LOG_TABLES}
        for name, spec in TABLES.items():
            if self._ledger.get(name) or (name in required and not self.read_only):
                self._tables[name] = LakeTable(self.folder, spec, self._ledger, read_only=self.read_only)

    def _take_snapshot(self) -> Snapshot:
        events = self._tables.get(EVENTS.name)
        reached = events.writers if events else {}
        positions = {
            int(writer.removeprefix(WRITER_PREFIX)): version
            for writer, version in reached.items()
            if writer.startswith(WRITER_PREFIX)
        }
        files = {name: tuple(table.files.values()) for name, table in self._tables.items()}
        return Snapshot(self.folder, positions, files, self.verified)


def _lock(folder: Path) -> int:
    make_directory(folder)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(folder)  # the ledger may be that of a process that was killed before it had done so
        return descriptor
    os.close(descriptor)
    raise FolderInUseError(f"{folder} is in use by another Tocsin, which writes it: stop that one first")
