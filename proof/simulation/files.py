"""Names and the end of the process, as `tocsin.storage` knows them, on the simulated disk."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from proof.simulation.disk import Disk, Refused

_NUMBERS = {"full": errno.ENOSPC, "error": errno.EIO}


class SimulatedFiles:
    """A file system for `tocsin.storage.files.files_of`. A sync that fails ends the process."""

    def __init__(self, disk: Disk, end: Callable[[str], None]) -> None:
        self._disk = disk
        self._end = end

    def settle(self, folder: Path, mode: int) -> None:
        """The simulated disk begins at the data folder: there is nothing above it."""
        folder.mkdir(exist_ok=True, mode=mode)

    def sync_written(self, path: Path) -> None:
        if not self._disk.is_alive():
            return
        name = self._disk.name(path)
        try:
            self._disk.before("sync", name)
        except Refused as refused:
            self._end(str(refused))
        if name in self._disk.medium.files:
            self._disk.medium.sync(name)

    def make(self, folder: Path) -> None:
        if self._asked("mkdir", folder) and not folder.is_dir():
            folder.mkdir()
            self._disk.medium.create(f"{self._disk.name(folder)}/")

    def rename(self, path: Path, target: Path) -> None:
        if self._asked("rename", path):
            path.rename(target)
            self._disk.medium.rename(self._disk.name(path), self._disk.name(target))

    def remove(self, path: Path) -> None:
        if self._asked("remove", path) and path.exists():
            path.unlink()
            if (name := self._disk.name(path)) in self._disk.medium.files:  # -shm files are not on the disk
                self._disk.medium.remove(name)

    def remove_directory(self, folder: Path) -> None:
        if self._asked("remove", folder) and folder.exists():
            folder.rmdir()
            self._disk.medium.remove(f"{self._disk.name(folder)}/")

    def sync(self, folder: Path) -> None:
        if not self._disk.is_alive() or not self._disk.holds(folder):
            return
        name = self._disk.name(folder)
        own = "" if name == "." else f"{name}/"
        try:
            self._disk.before("sync-folder", own)
        except Refused as refused:
            self._end(str(refused))
        self._disk.medium.sync_folder(own)

    def _asked(self, operation: str, path: Path) -> bool:
        """Whether it is to be done; a dead process does nothing."""
        if not self._disk.is_alive():
            return False
        try:
            self._disk.before(operation, self._disk.name(path))
        except Refused as refused:
            raise OSError(_NUMBERS[refused.kind], str(refused), str(path)) from refused
        return True
