"""Records what SQLite does to its files, in this process: an APSW file layer, and Python's renames.

It needs neither a compiler nor a process of its own, but sees only what goes through it. What whole servers
do to their disk is recorded at the level of system calls: see proof/power.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import apsw

from proof.power.disk import Disk
from proof.shim.event import Event, Kind


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: where durability is simulated, real syncs only cost time."""
    shared = Path("/dev/shm")  # noqa: S108 - made with a random name and for its owner alone
    return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)


class Recorder(AbstractContextManager["Recorder"]):
    """Inside the block, databases opened with `vfs` below `folder`, and Python's renames, are recorded."""

    vfs = "power"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self._promises: list[Any] = []
        self._numbers: dict[str, int] = {}
        self._folders: set[str] = set()
        self._patches = [
            patch.object(os, "fsync", self._wrap_fsync(os.fsync)),
            patch.object(Path, "rename", self._wrap_rename(Path.rename)),
            patch.object(Path, "unlink", self._wrap_unlink(Path.unlink)),
        ]

    def __enter__(self) -> Recorder:
        self._vfs = _PowerVFS(self)
        for each in self._patches:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._patches:
            each.stop()
        self._vfs.unregister()

    def promise(self, promise: Any) -> None:
        """The process has just promised something to somebody."""
        self.events.append(Event(Kind.MARK, data=str(len(self._promises)).encode()))
        self._promises.append(promise)

    def create(self, path: str | Path) -> None:
        """A file has come; its folder is taken to be durable, since who makes folders is not recorded."""
        name = self.name(path)
        folder = name.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._folders.add(folder)
            self.events.append(Event(Kind.MKDIR, path=folder))
            self.events.append(Event(Kind.SYNC_DIRECTORY, path=folder.rpartition("/")[0]))
        self._numbers[name] = len(self.events)
        self.events.append(Event(Kind.CREATE, self._numbers[name], path=name))

    def number(self, path: str | Path) -> int:
        """The number of the file that has this name now."""
        return self._numbers[self.name(path)]

    def name(self, path: str | Path) -> str:
        return str(Path(path).relative_to(self.folder))

    def is_inside(self, path: str | Path) -> bool:
        return Path(path).is_relative_to(self.folder)

    def _wrap_fsync(self, original: Any) -> Any:
        def fsync(descriptor: int) -> None:
            original(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir() and self.is_inside(path):
                self.events.append(Event(Kind.SYNC_DIRECTORY, path=self.name(path).removeprefix(".")))

        return fsync

    def _wrap_rename(self, original: Any) -> Any:
        def rename(path: Path, target: Path) -> Path:
            moved: Path = original(path, target)
            if self.is_inside(path):
                self._numbers[self.name(target)] = self._numbers.pop(self.name(path))
                self.events.append(Event(Kind.RENAME, path=self.name(path), target=self.name(target)))
            return moved

        return rename

    def _wrap_unlink(self, original: Any) -> Any:
        def unlink(path: Path, missing_ok: bool = False) -> None:
            existed = path.exists()
            original(path, missing_ok=missing_ok)
            if existed and self.is_inside(path) and not path.name.endswith("-shm"):
                self.events.append(Event(Kind.UNLINK, path=self.name(path)))

        return unlink

    def power_cuts(self, count: int, seed: int, scratch: Path) -> Iterator[tuple[Path, list[Any]]]:
        """Folders as power cuts at random moments could have left them, with the promises made before."""
        rng = random.Random(seed)
        moments = sorted(rng.randrange(len(self.events)) for _ in range(count))
        disk, played = Disk(), 0
        for number, moment in enumerate(moments):
            for event in self.events[played:moment]:
                disk.play(event)
            played = moment
            folder = scratch / str(number)
            folder.mkdir(parents=True)
            disk.state(rng).write(folder)
            yield folder, [self._promises[int(mark)] for mark in disk.marks]


class _PowerVFS(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(Recorder.vfs, "")
        self._recorder = recorder

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _PowerFile:  # noqa: N802 - APSW's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        existed = Path(path).exists()
        if not existed:
            self._recorder.create(path)
        return _PowerFile(self._recorder, path, name, flags)

    def xDelete(self, path: str, sync_directory: bool) -> None:  # noqa: N802 - APSW's name
        super().xDelete(path, sync_directory)
        self._recorder.events.append(Event(Kind.UNLINK, path=self._recorder.name(path)))


class _PowerFile(apsw.VFSFile):
    def __init__(
        self, recorder: Recorder, path: str, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        self._events = recorder.events
        self._number = recorder.number(path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        super().xWrite(data, offset)
        self._events.append(Event(Kind.WRITE, self._number, offset, data=bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - APSW's name
        super().xTruncate(size)
        self._events.append(Event(Kind.TRUNCATE, self._number, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        super().xSync(flags)
        self._events.append(Event(Kind.SYNC, self._number))
