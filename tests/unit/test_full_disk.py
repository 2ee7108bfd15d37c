"""A full disk is an answer wherever it shows: what was put off is done once there is room."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.lake_kit import NOW_MS, events, record, steady
from tocsin.clock import ManualClock
from tocsin.errors import StorageFullError, StorageUnavailableError
from tocsin.lake import table
from tocsin.lake.delta import DeltaLake
from tocsin.storage.files import settle_directory


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("method", "answer"), [("mkdir", StorageFullError), ("replace", StorageFullError)])
def test_no_room_for_a_name_puts_the_lake_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, answer: type[Exception]
) -> None:
    """A folder or a name needs room as well; the thread that moves records must live to try again."""
    lake = DeltaLake(tmp_path / "lake", ManualClock(NOW_MS))
    rows = record(0, events(steady(40)))
    with monkeypatch.context() as full:
        full.setattr(Path, method, no_space)
        with pytest.raises(answer):
            lake.append([rows])
    lake.append([rows])
    assert dict(lake.positions()) == {0: 40}
    lake.close()


def test_no_room_for_a_checkpoint_of_a_table_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only makes opening quick; the entry before it stands, and the same append again adds nothing."""
    monkeypatch.setattr(table, "CHECKPOINT_EVERY", 1)
    lake = DeltaLake(tmp_path / "lake", ManualClock(NOW_MS))
    rows = record(0, events(steady(40)))
    with monkeypatch.context() as full:
        full.setattr(DeltaTable, "create_checkpoint", no_space)
        with pytest.raises(StorageUnavailableError, match="checkpoint"):
            lake.append([rows])
    lake.append([rows])
    assert dict(lake.positions()) == {0: 40}
    assert sum(entry.rows for entry in lake.snapshot().files["events"]) == 40
    lake.close()


def test_a_data_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    """Not a traceback, and not the end of a process: the answer says which folder and why."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailableError, match=r"file/data can't be used: .*Not a directory"):
        settle_directory(tmp_path / "file" / "data")
