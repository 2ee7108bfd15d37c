"""Names in directories that survive power loss."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import Final, Protocol

from tocsin.errors import StorageUnavailableError
from tocsin.storage.faults import end_process, storage_faults

_KNOWN_MAX: Final = 10_000
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class FileSystem(Protocol):
    """What changes files and their names. StorageFullError or StorageUnavailableError for folders that can't
    be made, OSError for all else.
    """

    def settle(self, folder: Path, mode: int) -> None:
        """As `settle_directory`."""
        ...

    def sync_written(self, path: Path) -> None:
        """As the function of that name."""
        ...

    def open(self, path: Path, mode: str) -> FileIO:
        """As `open_file`."""
        ...

    def sync_file(self, file: FileIO, path: Path) -> None:
        """As the function of that name."""
        ...

    def make(self, folder: Path) -> None:
        """Create a folder; nothing if it is there."""
        ...

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name, in place of whatever had it."""
        ...

    def link(self, path: Path, target: Path) -> None:
        """Give a file a second name, which nothing has yet."""
        ...

    def remove(self, path: Path) -> None:
        """Let a name stand for nothing; nothing if it does already."""
        ...

    def remove_directory(self, folder: Path) -> None:
        """Remove an empty folder, if it is there."""
        ...

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable; a failed fsync ends the process."""
        ...


class _System:
    """The machine's own."""

    def settle(self, folder: Path, mode: int) -> None:
        with storage_faults(str(folder)):
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
        for above in folder.absolute().parents:
            if not os.access(above, os.R_OK):
                break
            self.sync(above)

    def sync_written(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            end_process(f"fsync of {path} failed: {error}")
        finally:
            os.close(descriptor)

    def open(self, path: Path, mode: str) -> FileIO:
        return FileIO(path, mode)

    def sync_file(self, file: FileIO, path: Path) -> None:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            end_process(f"fsync of {path} failed: {error}")

    def make(self, folder: Path) -> None:
        with storage_faults(str(folder)):
            folder.mkdir(exist_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        path.rename(target)

    def link(self, path: Path, target: Path) -> None:
        try:
            target.hardlink_to(path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise StorageUnavailableError(
                f"{target.parent} lies on a file system without hard links: move the data folder to another"
            ) from error

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_directory(self, folder: Path) -> None:
        with suppress(FileNotFoundError):
            folder.rmdir()

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
    _sync_entry.cache_clear()
    try:
        yield
    finally:
        _system = before
        _sync_entry.cache_clear()


def open_file(path: Path, mode: str) -> FileIO:
    """A file that is to be written, unbuffered; `mode` as for `open`. OSError."""
    return _system.open(path, mode)


def sync_file(file: FileIO, path: Path) -> None:
    """Make the bytes durable; a failed fsync ends the process, since none after it can be believed."""
    _system.sync_file(file, path)


def rename(path: Path, target: Path) -> None:
    """Give a file its final name; durable once the directory is synced.

    From one directory to another, a power cut may leave neither name. What was promised by the old one is
    linked, the directory synced, and only then removed.
    """
    _system.rename(path, target)


def link(path: Path, target: Path) -> None:
    """Give a file a second name, which nothing has yet; durable once the directory is synced.

    OSError; StorageUnavailableError where no file can have two names.
    """
    _system.link(path, target)


def remove(path: Path) -> None:
    """Delete a file, if it is there; durable once the directory is synced."""
    _system.remove(path)


def remove_directory(folder: Path) -> None:
    """Remove an empty folder, if it is there; durable once the one above is synced."""
    _system.remove_directory(folder)


def sync_directory(folder: Path) -> None:
    """Make created, renamed and deleted names in `folder` durable; ends the process when that fails.

    StorageUnavailableError when the folder can't even be opened: then nothing was tried.
    """
    _system.sync(folder)


def make_directory(folder: Path) -> None:
    """Create `folder` and its parents, each entry durable; costs next to nothing when it was asked before.

    A folder that is there already may be that of a process that was killed before it had synced the entry.
    """
    if folder.is_dir():
        _sync_entry(folder)
        return
    make_directory(folder.parent)
    _system.make(folder)
    sync_directory(folder.parent)


@lru_cache(maxsize=_KNOWN_MAX)
def _sync_entry(folder: Path) -> None:
    """Make the entry durable, once in this process; more often only when very many others came between."""
    sync_directory(folder.parent)


def settle_directory(folder: Path, mode: int = 0o777) -> None:
    """Create `folder` and its parents, and make the whole way to it durable, whoever has made it.

    Folders above that this process must not read are left to those whom they belong to.
    """
    _system.settle(folder, mode)


def sync_written(path: Path) -> None:
    """Make durable what another process may have left unsynced in a file, and read it from the disk.

    If the kernel has failed to write some of it, that is gone, but still looks whole in memory; so memory is
    dropped. Ends the process when the sync fails.
    """
    _system.sync_written(path)
