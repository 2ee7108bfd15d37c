"""Names and the end of the process, as `tocsin.storage` knows them, on the simulated disk."""

from __future__ import annotations

import errno
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from proof.simulation.disk import Disk, Refused
from tocsin.storage.faults import storage_faults

_NUMBERS = {"full": errno.ENOSPC, "error": errno.EIO}


class SimulatedFile(FileIO):
    """A file whose writes the medium knows. After the death of its process it changes nothing."""

    def __init__(self, files: SimulatedFiles, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._files = files
        self._path = path

    def write(self, data: Any, /) -> int:
        if not self._files.asked("write", self._path):
            return len(data)
        offset = self.tell()
        size = super().write(data)
        self._files.written(self._path, offset, bytes(data)[:size])
        return size

    def truncate(self, size: int | None = None, /) -> int:
        where = self.tell() if size is None else size
        if not self._files.asked("truncate", self._path):
            return where
        self._files.written(self._path, where, None)
        return super().truncate(where)


class SimulatedFiles:
    """A file system for `tocsin.storage.files.files_of`. A sync that fails ends the process."""

    def __init__(self, disk: Disk, end: Callable[[str], None]) -> None:
        self.disk = disk
        self._end = end

    def settle(self, folder: Path, mode: int) -> None:
        """The simulated disk begins at the data folder: there is nothing above it."""
        folder.mkdir(exist_ok=True, mode=mode)

    def sync_written(self, path: Path) -> None:
        if not self.disk.is_alive():
            return
        name = self.disk.name(path)
        try:
            self.disk.before("sync", name)
        except Refused as refused:
            self._end(str(refused))
        if name in self.disk.medium.files:
            self.disk.medium.sync(name)

    def open(self, path: Path, mode: str) -> FileIO:
        alive = self.asked("open" if path.exists() else "create", path)
        existed = path.exists()
        file = SimulatedFile(self, path, mode)
        if alive and not existed:
            self.disk.medium.create(self.disk.name(path))
        elif alive and "w" in mode:
            self.disk.medium.truncate(self.disk.name(path), 0)
        return file

    def sync_file(self, file: FileIO, path: Path) -> None:
        self.sync_written(path)

    def make(self, folder: Path) -> None:
        with storage_faults(str(folder)):
            if self.asked("mkdir", folder) and not folder.is_dir():
                folder.mkdir()
                self.disk.medium.create(f"{self.disk.name(folder)}/")

    def rename(self, path: Path, target: Path) -> None:
        if self.asked("rename", path):
            path.rename(target)
            self.disk.medium.rename(self.disk.name(path), self.disk.name(target))

    def link(self, path: Path, target: Path) -> None:
        if self.asked("link", path):
            target.hardlink_to(path)
            self.disk.medium.link(self.disk.name(path), self.disk.name(target))

    def remove(self, path: Path) -> None:
        if self.asked("remove", path) and path.exists():
            path.unlink()
            if (name := self.disk.name(path)) in self.disk.medium.files:  # -shm files are not on the disk
                self.disk.medium.remove(name)

    def remove_directory(self, folder: Path) -> None:
        if self.asked("remove", folder) and folder.exists():
            folder.rmdir()
            self.disk.medium.remove(f"{self.disk.name(folder)}/")

    def sync(self, folder: Path) -> None:
        if not self.disk.is_alive() or not self.disk.holds(folder):
            return
        name = self.disk.name(folder)
        own = "" if name == "." else f"{name}/"
        try:
            self.disk.before("sync-folder", own)
        except Refused as refused:
            self._end(str(refused))
        self.disk.medium.sync_folder(own)

    def written(self, path: Path, offset: int, data: bytes | None) -> None:
        """Bytes of an open file, or (None) its end; nobody finds those of one that has no name any more."""
        name = self.disk.name(path)
        if name not in self.disk.medium.files:
            return
        if data is None:
            self.disk.medium.truncate(name, offset)
        else:
            self.disk.medium.write(name, offset, data)

    def asked(self, operation: str, path: Path) -> bool:
        """Whether it is to be done; a dead process does nothing."""
        if not self.disk.is_alive():
            return False
        try:
            self.disk.before(operation, self.disk.name(path))
        except Refused as refused:
            raise OSError(_NUMBERS[refused.kind], str(refused), str(path)) from refused
        return True
