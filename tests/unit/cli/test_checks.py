"""What doctor finds wrong, and that every problem has a remedy."""

from __future__ import annotations

import os
import time
from itertools import chain, repeat
from pathlib import Path

import pytest

from tocsin.cli import checks
from tocsin.cli.checks import Check
from tocsin.storage import database


def one(found: Check, name: str) -> None:
    """The check failed and says what to do."""
    assert (found.name, found.ok) == (name, False)
    assert found.remedy


def test_a_healthy_machine_passes(tmp_path: Path) -> None:
    """Nothing is wrong here, also while the folder does not exist yet."""
    for folder in (tmp_path, tmp_path / "later" / "data"):
        assert [check for check in checks.machine_checks(folder) if not check.ok] == []
    assert not (tmp_path / "later").exists()


def test_an_old_sqlite_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that counts is that of the stores' own library."""
    monkeypatch.setattr(database, "SQLITE_VERSION_MIN", (99, 0, 0))
    one(checks.check_sqlite(), "sqlite")


def test_a_clock_before_the_release_is_a_problem() -> None:
    """A machine without a battery starts in 1970."""
    one(checks.check_clock(lambda: 0.0, time.monotonic), "clock")


def test_a_clock_that_jumps_is_a_problem() -> None:
    """Wall and monotonic clock must agree about how much time has passed."""
    walls = chain([time.time()], repeat(time.time() + 3600))
    one(checks.check_clock(lambda: next(walls), time.monotonic), "clock")


def test_a_folder_that_everybody_may_write_is_a_problem(tmp_path: Path) -> None:
    """Anyone could change what was acknowledged."""
    tmp_path.chmod(0o777)
    one(checks.check_permissions(tmp_path), "permissions")
    tmp_path.chmod(0o700)
    assert checks.check_permissions(tmp_path).ok


def test_files_of_the_future_are_a_problem(tmp_path: Path) -> None:
    """The clock was set back, and new records would seem older than old ones."""
    (tmp_path / "a").touch()
    assert checks.check_file_times(tmp_path).ok
    os.utime(tmp_path / "a", (time.time() + 7200, time.time() + 7200))
    one(checks.check_file_times(tmp_path), "file_times")


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a gibibyte the log may soon have to refuse."""
    monkeypatch.setattr(checks, "_FREE_BYTES_MIN", 1 << 60)
    one(checks.check_disk(tmp_path), "disk")


def test_a_file_that_a_running_server_removes_meanwhile_is_no_problem(tmp_path: Path) -> None:
    """Doctor looks into the folder of a server that writes, merges and trims."""
    assert checks._changed_s(tmp_path / "segment-000000000001.db-wal") == 0.0
