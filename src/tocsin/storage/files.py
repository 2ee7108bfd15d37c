"""Names in directories that survive power loss."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tocsin.storage.faults import end_process, storage_faults


class FileSystem(Protocol):
    """What changes names. OSError when it can't."""

    def make(self, folder: Path) -> None:
        """Create a folder; nothing if it is there."""
        ...

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name, in place of whatever had it."""
        ...

    def remove(self, path: Path) -> None:
        """Let a name stand for nothing; nothing if it does already."""
        ...

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable; a failed fsync ends the process."""
        ...


class _System:
    """The machine's own."""

    def make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        path.rename(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync(self, folder: Path) -> None:
        with storage_faults(str(folder)):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            end_process(f"fsync of directory {folder} failed: {error}")
        finally:
            os.close(descriptor)


_system: FileSystem = _System()


@contextmanager
def files_of(system: FileSystem) -> Iterator[None]:
    """Within the block all names are changed by `system`; for simulations."""
    global _system  # noqa: PLW0603 - as tocsin.threads
    before, _system = _system, system
    try:
        yield
    finally:
        _system = before


def rename(path: Path, target: Path) -> None:
    """Give a file its final name; durable once the directory is synced."""
    _system.rename(path, target)


def remove(path: Path) -> None:
    """Delete a file, if it is there; durable once the directory is synced."""
    _system.remove(path)


def sync_directory(folder: Path) -> None:
    """Make created, renamed and deleted names in `folder` durable; ends the process when that fails.

    StorageUnavailableError when the folder can't even be opened: then nothing was tried.
    """
    _system.sync(folder)


def make_directory(folder: Path) -> None:
    """Create `folder` and its parents, each entry durable."""
    if folder.is_dir():
        return
    make_directory(folder.parent)
    _system.make(folder)
    sync_directory(folder.parent)
