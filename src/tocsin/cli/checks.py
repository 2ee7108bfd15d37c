"""What `tocsin doctor` looks at before any store is opened: the machine, the packages, the data folder."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Final

import msgspec

_FREE_BYTES_MIN: Final = 1 << 30
_FSYNC_S_MAX: Final = 1.0
AHEAD_S_MAX: Final = 300.0
_RELEASE_S: Final = 1_767_225_600  # 2026-01-01: no machine that runs this is younger


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, or was `skipped`. `remedy` is empty where nothing is wrong."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    skipped: bool = False


def machine_checks(data: Path) -> list[Check]:
    """Everything that can be told without opening a store; `data` need not exist yet."""
    folder = _existing(data)
    checks = [check_python(), check_sqlite(), check_tzdata(), check_clock(time.time, time.monotonic)]
    return [*checks, check_permissions(data), check_disk(folder), check_fsync(folder), check_file_times(data)]


def check_python() -> Check:
    """3.11 or newer."""
    ok = sys.version_info >= (3, 11)
    return Check(
        name="python",
        ok=ok,
        detail=platform.python_version(),
        remedy="" if ok else "install Python 3.11 or newer and make the environment again",
    )


def check_sqlite() -> Check:
    """The SQLite that the stores use, which is not Python's own."""
    import apsw

    from tocsin.errors import StorageUnavailableError
    from tocsin.storage.database import require_sqlite

    version = apsw.sqlite_lib_version()
    try:
        require_sqlite(version)
    except StorageUnavailableError as error:
        return Check(name="sqlite", ok=False, detail=version, remedy=error.detail)
    return Check(name="sqlite", ok=True, detail=version)


def check_tzdata() -> Check:
    """The pinned zone data, which decide hours of the week; never the system's."""
    try:
        version = package_version("tzdata")
    except PackageNotFoundError:
        return Check(name="tzdata", ok=False, detail="missing", remedy="install it: pip install tzdata")
    return Check(name="tzdata", ok=True, detail=version)


def check_clock(wall_s: Callable[[], float], monotonic_s: Callable[[], float]) -> Check:
    """The wall clock is not before this release, and both clocks run at one pace for a moment."""
    wall, mono = wall_s(), monotonic_s()
    if wall < _RELEASE_S:
        stamp = time.strftime("%Y-%m-%d", time.gmtime(wall))
        return Check(
            name="clock", ok=False, detail=f"it is {stamp}, before this release", remedy="set the clock (NTP)"
        )
    time.sleep(0.02)
    skew_s = (wall_s() - wall) - (monotonic_s() - mono)
    ok = abs(skew_s) < 0.5
    return Check(
        name="clock",
        ok=ok,
        detail="steady" if ok else f"jumped by {skew_s:.1f} s while looked at",
        remedy="" if ok else "find out what sets the clock; let NTP slew it instead",
    )


def check_permissions(data: Path) -> Check:
    """This user may write the folder, and strangers may not."""
    folder = _existing(data)
    if in_the_way := _file_in_the_way(data):
        return Check(
            name="permissions",
            ok=False,
            detail=f"{in_the_way} is a file, and a folder is needed there",
            remedy="name another data folder, or move the file",
        )
    where = str(data) if data.exists() else f"{data} (does not exist yet)"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            name="permissions",
            ok=False,
            detail=f"{folder} cannot be written",
            remedy=f"chown {folder} to the user that runs tocsin",
        )
    if data.exists() and stat.S_IMODE(data.stat().st_mode) & stat.S_IWOTH:
        return Check(
            name="permissions",
            ok=False,
            detail=f"everybody may write {data}",
            remedy=f"chmod o-w {data}",
        )
    return Check(name="permissions", ok=True, detail=where)


def check_disk(folder: Path) -> Check:
    """A gibibyte free, or the log soon refuses records."""
    free = shutil.disk_usage(folder).free
    ok = free >= _FREE_BYTES_MIN
    return Check(
        name="disk",
        ok=ok,
        detail=f"{free / (1 << 30):.1f} GiB free",
        remedy="" if ok else f"free space on the disk of {folder}, or move the data folder",
    )


def check_fsync(folder: Path) -> Check:
    """A file can be written and synced where the data lie, in reasonable time."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"tocsin")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = f"check disk and mount of {folder}: nothing can be acknowledged without fsync"
        return Check(name="fsync", ok=False, detail=str(error), remedy=remedy)
    took_s = time.monotonic() - began
    ok = took_s < _FSYNC_S_MAX
    return Check(
        name="fsync",
        ok=ok,
        detail=f"{took_s * 1000:.1f} ms",
        remedy="" if ok else "the disk is overloaded or slow: every acknowledgement waits for it",
    )


def check_file_times(data: Path) -> Check:
    """No file of the data folder is from the future, as after the clock was set back."""
    newest_s = max((_changed_s(path) for path in data.glob("**/*") if path.is_file()), default=0.0)
    ahead_s = newest_s - time.time()
    ok = ahead_s < AHEAD_S_MAX
    return Check(
        name="file_times",
        ok=ok,
        detail="none in the future" if ok else f"the newest file is {ahead_s:.0f} s ahead of the clock",
        remedy="" if ok else "the clock was set back: set it right before events are taken in",
    )


def _changed_s(path: Path) -> float:
    """When a file changed last; long ago if a running server has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _file_in_the_way(data: Path) -> Path | None:
    """What keeps the data folder, or the log's in it, from being made."""
    wanted = (data / "log").absolute()
    there = next(path for path in (wanted, *wanted.parents) if path.exists())
    return None if there.is_dir() else there


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())
