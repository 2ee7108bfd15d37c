"""SQLite's files on the simulated disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import apsw

from proof.simulation.disk import Disk, Refused

NAME: Final = "simulated"
_SYSTEM: Final = apsw.vfs_names()[0]  # the default before ours takes its place
_CODES: Final = {
    "write": apsw.SQLITE_IOERR_WRITE,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "read": apsw.SQLITE_IOERR_READ,
    "remove": apsw.SQLITE_IOERR_DELETE,
    "sync-folder": apsw.SQLITE_IOERR_DIR_FSYNC,
}


def _error(refused: Refused) -> apsw.Error:
    if refused.kind == "full":
        return apsw.FullError(str(refused))
    if refused.operation in {"open", "create"}:
        return apsw.CantOpenError(str(refused))
    error = apsw.IOError(str(refused))
    error.extendedresult = _CODES[refused.operation]  # type: ignore[attr-defined]
    return error


class SimulatedConnection(apsw.Connection):
    """SQLite ignores what goes wrong while it closes, since the write-ahead log has all; APSW tells of it."""

    def close(self, force: bool = False) -> None:
        try:
            super().close(force)
        except (apsw.FullError, apsw.IOError) as error:
            if not isinstance(error.__cause__, Refused):
                raise


class SimulatedVFS(apsw.VFS):
    """The default file layer while it is registered; files outside of the disk are the system's."""

    def __init__(self, disk: Disk, random_bytes: Any) -> None:
        super().__init__(NAME, _SYSTEM, makedefault=True)
        self._disk = disk
        self._random_bytes = random_bytes

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - APSW's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk = self._disk
        if path is None or not disk.holds(path) or not disk.is_alive():
            return apsw.VFSFile(_SYSTEM, name, flags)
        existed = Path(path).exists()
        own = disk.name(path)
        try:
            disk.before("open" if existed else "create", own)
        except Refused as refused:
            raise _error(refused) from refused
        file = _File(disk, own, name, flags)
        if not existed and Path(path).exists():
            disk.medium.create(own)
        return file

    def xDelete(self, path: str, sync_folder: bool) -> None:  # noqa: N802 - APSW's name
        disk = self._disk
        if not disk.holds(path) or not disk.is_alive():
            return
        own = disk.name(path)
        try:
            disk.before("remove", own)
        except Refused as refused:
            raise _error(refused) from refused
        super().xDelete(path, False)
        disk.medium.remove(own)
        if sync_folder:
            disk.medium.sync_folder(f"{Path(own).parent.as_posix()}/".removeprefix("./"))

    def xSleep(self, microseconds: int) -> int:  # noqa: N802 - APSW's name
        if self._disk.is_alive() and self._disk.scheduler.current is not None:
            self._disk.scheduler.sleep(microseconds / 1e6)
        return microseconds

    def xRandomness(self, size: int) -> bytes:  # noqa: N802 - APSW's name
        found: bytes = self._random_bytes(size)
        return found


class _File(apsw.VFSFile):
    """After the death of its process it does nothing any more, since only destructors still ask."""

    def __init__(self, disk: Disk, own: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(_SYSTEM, name, flags)
        self._disk = disk
        self._process = disk.process
        self._name = own

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        if self._may("write"):
            super().xWrite(data, offset)
            self._disk.medium.write(self._name, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - APSW's name
        if self._may("truncate"):
            super().xTruncate(size)
            self._disk.medium.truncate(self._name, size)

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        if self._may("sync"):
            self._disk.medium.sync(self._name)

    def _may(self, operation: str) -> bool:
        if self._process is None or self._process.dead:
            return False
        try:
            self._disk.before(operation, self._name)
        except Refused as refused:
            raise _error(refused) from refused
        return True
