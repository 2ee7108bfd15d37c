"""What a crash or a damaged folder does to the lake: nothing that was acknowledged is lost or doubled."""

from __future__ import annotations

import resource
import shutil
import signal
from pathlib import Path

import pytest

from tests.lake_kit import events, open_lake, record, steady
from tocsin.errors import CorruptError, FencedError, StorageFullError, StorageUnavailableError
from tocsin.lake.delta import DeltaLake
from tocsin.lake.files import publish
from tocsin.lake.query import query
from tocsin.lake.table import CHECKPOINT_EVERY

ENTRY = "events/_delta_log/{:020d}.json"


def fill(lake: DeltaLake, appends: int, *, start: int = 0, rows: int = 4) -> None:
    """Append small records one by one."""
    for number in range(start, start + appends):
        lake.append([record(number * rows, events(steady(rows)))])


def offsets(lake: DeltaLake) -> list[int]:
    """All offsets in the lake, ascending."""
    found = query("SELECT log_offset FROM events ORDER BY 1", lake=lake, log=None, tenant="acme")
    return list(found.column(0).to_pylist())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lake of three appends, closed; `before` beside it is the same after two."""
    lake = open_lake(tmp_path / "lake")
    fill(lake, 2)
    shutil.copy(tmp_path / "lake" / "synced.json", tmp_path / "synced.json")
    fill(lake, 1, start=2)
    lake.close()
    return tmp_path / "lake"


def power_loss(folder: Path) -> None:
    """Undo the last, unsynced ledger entry: the third append did not return."""
    shutil.copy(folder.parent / "synced.json", folder / "synced.json")


@pytest.mark.parametrize("kept_bytes", [0, 1, 200, None])
def test_unsynced_entry_is_dropped_however_torn(folder: Path, kept_bytes: int | None) -> None:
    """An entry beyond the ledger goes, empty, torn or whole, and its records are appended again, once."""
    power_loss(folder)
    entry = folder / ENTRY.format(3)
    entry.write_bytes(entry.read_bytes()[:kept_bytes])
    lake = open_lake(folder)
    assert dict(lake.positions()) == {0: 8}
    fill(lake, 3)
    assert offsets(lake) == list(range(12))
    lake.close()


def test_unsynced_checkpoint_is_dropped(folder: Path) -> None:
    """A table checkpoint that the ledger does not know is not used, whatever it says."""
    power_loss(folder)
    log = folder / "events" / "_delta_log"
    (log / f"{3:020d}.checkpoint.parquet").write_bytes(b"torn")
    (log / "_last_checkpoint").write_text('{"version":3,"size":1}')
    lake = open_lake(folder)
    assert offsets(lake) == list(range(8))
    lake.close()


def test_lost_synced_entry_is_named(folder: Path) -> None:
    """Without an entry that was synced the lake refuses to open instead of losing rows."""
    (folder / ENTRY.format(3)).unlink()
    with pytest.raises(CorruptError, match="entry 3"):
        open_lake(folder)


def test_lost_ledger_deletes_nothing(folder: Path) -> None:
    """A lake without its ledger is refused, and stays as it is."""
    (folder / "synced.json").unlink()
    with pytest.raises(CorruptError, match="ledger"):
        open_lake(folder)
    assert (folder / ENTRY.format(3)).exists()


def test_altered_ledger_is_noticed(folder: Path) -> None:
    """A ledger that does not match its checksum is not believed."""
    ledger = folder / "synced.json"
    ledger.write_text(ledger.read_text().replace('"version":3', '"version":2'))
    with pytest.raises(CorruptError, match="checksum"):
        open_lake(folder)


def test_crash_while_creating_is_repaired(tmp_path: Path) -> None:
    """A first entry that was never recorded, torn or not, gives way to a new table."""
    log = tmp_path / "lake" / "events" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("{")
    lake = open_lake(tmp_path / "lake")
    fill(lake, 1)
    assert offsets(lake) == list(range(4))
    lake.close()


def test_checkpoints_keep_opening_fast_and_lose_nothing(tmp_path: Path) -> None:
    """After enough appends the table log is summed up; the lake opens from there with all its rows."""
    lake = open_lake(tmp_path / "lake")
    fill(lake, CHECKPOINT_EVERY + 2, rows=1)
    lake.close()
    assert list((tmp_path / "lake" / "events" / "_delta_log").glob("*.checkpoint.parquet"))
    lake = open_lake(tmp_path / "lake")
    assert offsets(lake) == list(range(CHECKPOINT_EVERY + 2))
    lake.close()


def test_foreign_writer_is_noticed(folder: Path) -> None:
    """A commit by another program makes the next append fail instead of mixing histories."""
    lake = open_lake(folder)
    shutil.copy(folder / ENTRY.format(3), folder / ENTRY.format(4))
    with pytest.raises(FencedError):
        fill(lake, 1, start=3)
    lake.close()


def test_reader_beside_a_writer(folder: Path) -> None:
    """A reader opens while another writes, sees what is synced, and can't change anything."""
    writer = open_lake(folder)
    reader = open_lake(folder, read_only=True)
    fill(writer, 1, start=3)
    assert offsets(reader) == list(range(12))
    assert offsets(open_lake(folder, read_only=True)) == list(range(16))
    with pytest.raises(FencedError):
        fill(reader, 1, start=4)
    writer.close()


def test_disk_full_at_the_last_step_loses_and_doubles_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When only the ledger could not be written, a repeated append finds its rows and records them."""
    lake = open_lake(folder)
    record_synced = lake.store._ledger.record

    def full(_: object) -> None:
        raise StorageFullError("the disk is full")

    monkeypatch.setattr(lake.store._ledger, "record", full)
    with pytest.raises(StorageFullError):
        fill(lake, 1, start=3)
    assert dict(lake.positions()) == {0: 12}
    monkeypatch.setattr(lake.store._ledger, "record", record_synced)
    fill(lake, 2, start=3)
    assert dict(lake.positions()) == {0: 20}
    assert offsets(lake) == list(range(20))
    lake.close()
    lake = open_lake(folder)
    assert offsets(lake) == list(range(20))
    lake.close()


def test_full_disk_is_an_answer(tmp_path: Path) -> None:
    """A file that can't be written is refused as storage trouble, and leaves nothing half written."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
        with pytest.raises(StorageUnavailableError):
            publish(tmp_path / "x", b"a" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
