"""Keeps two processes from writing the same folder."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from tocsin.errors import StorageUnavailableError
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import make_directory

_ADDRESS_CHARACTERS_MAX: Final = 300


class FolderInUseError(StorageUnavailableError):
    """Another process has the folder: stop that one first, or ask it at `told`, its address if it has one."""

    def __init__(self, detail: str, told: str = "") -> None:
        super().__init__(detail)
        self.told = told


class FolderLock:
    """Held until `close` or the end of the process, however that ends; FolderInUseError if it is taken."""

    def __init__(self, folder: Path) -> None:
        make_directory(folder)
        with storage_faults(str(folder)):
            self._file = (folder / "lock").open("a+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            told = self._read()
            self._file.close()
            detail = f"{folder} is in use by another Tocsin: stop that one first"
            raise FolderInUseError(detail, told) from error
        self.tell("")

    def tell(self, address: str) -> None:
        """Leave an address for whoever finds the folder in use, until the lock is taken anew.

        A disk that is full takes none: nobody depends on it.
        """
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), address.encode())

    def _read(self) -> str:
        self._file.seek(0)
        text = self._file.read(_ADDRESS_CHARACTERS_MAX)
        return text if text.isprintable() else ""

    def close(self) -> None:
        """Let others in; idempotent."""
        self._file.close()
