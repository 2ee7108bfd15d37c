"""What a process that was killed had written but not synced is synced before the next one trusts it.

A kill leaves unsynced bytes and names that the next process reads as if they were durable. If it acknowledges
by them, or trims by them, the next power cut takes them away from those who were promised them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tocsin.clock import SystemClock
from tocsin.lake.delta import DeltaLake
from tocsin.storage.database import Tuning, open_database
from tocsin.storage.files import make_directory, settle_directory


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files and folders in the order in which Python syncs them."""
    found: list[Path] = []

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_the_way_to_the_data_folder_is_durable(tmp_path: Path, synced: list[Path]) -> None:
    """Every folder above it is synced, whoever has made it; else all that was acknowledged could vanish."""
    (tmp_path / "var").mkdir()
    settle_directory(tmp_path / "var" / "lib" / "data")
    assert {tmp_path, tmp_path / "var", tmp_path / "var" / "lib"} <= set(synced)
    synced.clear()
    settle_directory(tmp_path / "var" / "lib" / "data")
    assert {tmp_path, tmp_path / "var", tmp_path / "var" / "lib"} <= set(synced)


def test_a_folder_that_somebody_else_made_is_made_durable_once(tmp_path: Path, synced: list[Path]) -> None:
    """Perhaps its maker was killed before the sync; after the first time it costs nothing."""
    (tmp_path / "day").mkdir()
    make_directory(tmp_path / "day")
    assert synced == [tmp_path]
    make_directory(tmp_path / "day")
    assert len(synced) == 1


def test_a_folder_that_went_is_made_again(tmp_path: Path, synced: list[Path]) -> None:
    """What was known about the old one says nothing about a new one."""
    make_directory(tmp_path / "day")
    (tmp_path / "day").rmdir()
    make_directory(tmp_path / "day")
    assert (tmp_path / "day").is_dir()
    assert synced.count(tmp_path) == 2


def test_a_write_ahead_log_is_synced_before_it_is_read(tmp_path: Path, synced: list[Path]) -> None:
    """Its last commits may never have been, and an answer could be given by them."""
    path = tmp_path / "store.db"
    connection = open_database(path, Tuning(merge_on_close=False))
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    synced.clear()
    open_database(path, Tuning()).close()
    assert synced[:2] == [tmp_path / "store.db-wal", tmp_path]


def test_the_ledger_of_the_lake_is_durable_before_it_is_believed(tmp_path: Path, synced: list[Path]) -> None:
    """Its new name may never have been synced, and the log could be trimmed by it."""
    folder = tmp_path / "lake"
    DeltaLake(folder, SystemClock()).close()
    synced.clear()
    DeltaLake(folder, SystemClock()).close()
    assert folder in synced


def test_a_table_that_was_just_being_created_is_created_anew(tmp_path: Path) -> None:
    """The draft of its first entry is refuse, not a table that nobody knows."""
    log = tmp_path / "lake" / "hours" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json#1").write_bytes(b"{")
    DeltaLake(tmp_path / "lake", SystemClock()).close()
    assert not list(log.glob("*#*"))
