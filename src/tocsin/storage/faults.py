"""What SQLite's errors mean for Tocsin: an answer, a corruption, or the end of the process."""

from __future__ import annotations

import errno
import os
import sys
from types import TracebackType
from typing import Final, NoReturn

import apsw

from tocsin.errors import CorruptError, StorageFullError, StorageUnavailableError, TocsinError

EXIT_STATUS: Final = 74  # EX_IOERR of sysexits.h

_SYNC_FAILED: Final = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_A_FOLDER: Final = "a folder is needed there and a file is in the way: name another one, or move the file"
_NOT_ALLOWED: Final = "run Tocsin as the user whom the folder belongs to, or give it to this one (chown)"
_REMEDIES: Final = {
    errno.EEXIST: _NOT_A_FOLDER,
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EISDIR: "a file is needed there and a folder is in the way: move it",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: "the disk is mounted for reading only: mount it for writing, or name another folder",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.EMFILE: "this process may open too few files: raise its limit (ulimit -n)",
}
_UNAVAILABLE: Final = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.IOError, apsw.BusyError, apsw.LockedError)


def end_process(reason: str) -> NoReturn:
    """Say why on standard error and stop at once, without any clean-up that could write again.

    After a failed fsync the kernel may have dropped the unwritten pages and call the next fsync a
    success, so trying again could acknowledge what is lost. Only a new process, which reads what is
    really on the disk, may go on.
    """
    sys.stderr.write(f"tocsin: fatal: {reason}; the process ends and must be started again\n")
    sys.stderr.flush()
    os._exit(EXIT_STATUS)


def translate(error: apsw.Error, place: str) -> TocsinError | None:
    """The answer that `error` amounts to, None if it is a bug; after a failed sync the process ends."""
    if getattr(error, "extendedresult", 0) in _SYNC_FAILED:
        end_process(f"fsync failed at {place}: {error}")
    if isinstance(error, apsw.FullError):
        return StorageFullError(f"the disk is full at {place}: free space and try again", retry_after_s=10)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return CorruptError(f"{place} is damaged: {error}")
    if isinstance(error, _UNAVAILABLE):
        return StorageUnavailableError(f"{place} can't be used: {error}", retry_after_s=10)
    return None


class _Faults:
    """A class, not a generator: it stands around every statement."""

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, apsw.Error):
            answer = translate(error, self._place)
            if answer is not None:
                raise answer from error
        elif isinstance(error, OSError):
            raise _answer_to_system(error, self._place) from error
        elif isinstance(error, UnicodeDecodeError):  # what was stored was text, so the disk has altered it
            raise CorruptError(f"{self._place} is damaged: a text in it is no UTF-8 any more") from error


def storage_faults(place: str) -> _Faults:
    """Turn errors of APSW and the system into Tocsin's; `place` names the file for people."""
    return _Faults(place)


def _answer_to_system(error: OSError, place: str) -> TocsinError:
    if error.errno in _DISK_FULL:
        return StorageFullError(f"the disk is full at {place}: free space and try again", retry_after_s=10)
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return StorageUnavailableError(f"{place} can't be used: {error}", retry_after_s=10)
    inside = "" if error.filename in {None, place} else f" ({error.filename})"
    reason = f"{error.strerror}{inside}; {remedy}"
    return StorageUnavailableError(f"{place} can't be used: {reason}", retry_after_s=10)
