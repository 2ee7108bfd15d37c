"""A disk that records what reaches it, and shows every state that a power cut could have left behind.

The recorded process runs on as usual. Afterwards the events up to any moment are replayed: what was synced
is there; of everything else any part may be there, in any combination, whole or torn at a sector. Names in
a directory are durable only after an fsync of the directory.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import apsw

SECTOR_BYTES = 512


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: where durability is simulated, real syncs only cost time."""
    shared = Path("/dev/shm")  # noqa: S108 - made with a random name and for its owner alone
    return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)


@dataclass(frozen=True)
class Event:
    """Something that happened to the disk, or (`mark`) what the process had promised by then."""

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""
    target: str = ""
    promise: Any = None


@dataclass
class _File:
    """The bytes that are certain, and what was written since the last sync."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.durable, event, len(event.data))
        self.pending = []

    def after_power_cut(self, rng: random.Random) -> bytes:
        content = bytearray(self.durable)
        for event in self.pending:
            fate = rng.random()
            if fate < 0.4:
                continue
            torn = rng.randrange(0, len(event.data) + 1, SECTOR_BYTES) if fate < 0.6 else len(event.data)
            _apply(content, event, torn)
        return bytes(content)


def _apply(content: bytearray, event: Event, size: int) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + size] = event.data[:size]


class Disk:
    """The state of the disk while events are replayed."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._changes: list[tuple[str, _File | None]] = []
        self.promises: list[Any] = []

    def play(self, event: Event) -> None:
        """Let one event happen."""
        match event.kind:
            case "mark":
                self.promises.append(event.promise)
            case "create":
                self._change(event.name, _File())
            case "write" | "truncate":
                self._names[event.name].pending.append(event)
            case "sync":
                self._names[event.name].sync()
            case "rename":
                self._change(event.target, self._names[event.name])
                self._change(event.name, None)
            case "unlink":
                self._change(event.name, None)
            case "sync_directory":
                self._durable_names = dict(self._names)
                self._changes = []

    def _change(self, name: str, file: _File | None) -> None:
        self._changes.append((name, file))
        _rename(self._names, name, file)

    def cut(self, folder: Path, rng: random.Random) -> None:
        """Write into `folder` what could be found after a power cut now."""
        names = dict(self._durable_names)
        for name, file in self._changes:
            if rng.random() < 0.5:
                _rename(names, name, file)
        for name, file in names.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.after_power_cut(rng))


def _rename(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


class Recorder(AbstractContextManager["Recorder"]):
    """Inside the block, databases opened with `vfs` below `folder`, and Python's renames, are recorded."""

    vfs = "power"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
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
        self.events.append(Event("mark", promise=promise))

    def name(self, path: str | Path) -> str:
        return str(Path(path).relative_to(self.folder))

    def is_inside(self, path: str | Path) -> bool:
        return Path(path).is_relative_to(self.folder)

    def _wrap_fsync(self, original: Any) -> Any:
        def fsync(descriptor: int) -> None:
            original(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir() and self.is_inside(path):
                self.events.append(Event("sync_directory"))

        return fsync

    def _wrap_rename(self, original: Any) -> Any:
        def rename(path: Path, target: Path) -> Path:
            moved: Path = original(path, target)
            if self.is_inside(path):
                self.events.append(Event("rename", self.name(path), target=self.name(target)))
            return moved

        return rename

    def _wrap_unlink(self, original: Any) -> Any:
        def unlink(path: Path, missing_ok: bool = False) -> None:
            existed = path.exists()
            original(path, missing_ok=missing_ok)
            if existed and self.is_inside(path) and not path.name.endswith("-shm"):
                self.events.append(Event("unlink", self.name(path)))

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
            disk.cut(folder, rng)
            yield folder, list(disk.promises)


class _PowerVFS(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(Recorder.vfs, "")
        self._recorder = recorder

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _PowerFile:  # noqa: N802 - APSW's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        existed = Path(path).exists()
        file = _PowerFile(self._recorder, path, name, flags)
        if not existed:
            self._recorder.events.append(Event("create", self._recorder.name(path)))
        return file

    def xDelete(self, path: str, sync_directory: bool) -> None:  # noqa: N802 - APSW's name
        super().xDelete(path, sync_directory)
        self._recorder.events.append(Event("unlink", self._recorder.name(path)))


class _PowerFile(apsw.VFSFile):
    def __init__(
        self, recorder: Recorder, path: str, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        self._events = recorder.events
        self._name = recorder.name(path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        super().xWrite(data, offset)
        self._events.append(Event("write", self._name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - APSW's name
        super().xTruncate(size)
        self._events.append(Event("truncate", self._name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        super().xSync(flags)
        self._events.append(Event("sync", self._name))
