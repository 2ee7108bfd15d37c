"""Keeps two processes from writing the same folder."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tocsin.errors import StorageUnavailableError
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import make_directory


class FolderInUseError(StorageUnavailableError):
    """Another process has the folder: stop that one first, or ask it."""


class FolderLock:
    """Held until `close` or the end of the process, however that ends; FolderInUseError if it is taken."""

    def __init__(self, folder: Path) -> None:
        make_directory(folder)
        with storage_faults(str(folder)):
            self._file = (folder / "lock").open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise FolderInUseError(f"{folder} is in use by another Tocsin: stop that one first") from error

    def close(self) -> None:
        """Let others in; idempotent."""
        self._file.close()
