"""Power cuts at random moments lose nothing that was acknowledged and leave nothing broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.power_kit import Recorder, memory_folder
from tocsin.clock import ManualClock
from tocsin.commit.abstract import Chunk, Commit, Totals
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import TocsinError
from tocsin.log.abstract import Append, DeadLetter, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.storage import database

NOW_MS = 1_700_000_000_000
CUTS = 60
Check = Callable[[Path, list[Any]], None]


@pytest.fixture
def memory() -> Iterator[Path]:
    with memory_folder() as folder:
        yield Path(folder)


def open_log(folder: Path, vfs: str | None = None) -> EmbeddedLog:
    return EmbeddedLog(folder, 2, ManualClock(NOW_MS), segment_bytes_max=40_000, tail_bytes_max=1, vfs=vfs)


def append(number: int) -> Append:
    name = f"request-{number}"
    parts = [Part(0, RecordKind.EVENTS, 1, name.encode() * 200), Part(1, RecordKind.EVENTS, 2, name.encode())]
    letter = DeadLetter("t", NOW_MS, "http", number, "code", "", "detail", b"line")
    return Append("t", NOW_MS, parts, [letter], "p", name, b"f", name.encode())


def use_log(recorder: Recorder) -> None:
    """Append, trim and restart; a promise is the number acknowledged and the offset trimmed up to."""
    log = open_log(recorder.folder / "log", Recorder.vfs)
    safe = 0
    for number in range(70):
        assert log.submit(append(number)).result(20).offsets == (number, 2 * number)
        recorder.promise((number, safe))
        if number % 20 == 19:
            safe = number - 10
            recorder.promise((number, safe))
            log.trim({0: safe, 1: 2 * safe})
        if number == 45:
            log.close()
            log = open_log(recorder.folder / "log", Recorder.vfs)
    log.close()


def check_log(folder: Path, promises: list[Any]) -> None:
    """Everything acknowledged is there once, answers and dead letters too, and appending goes on."""
    last, safe = promises[-1] if promises else (-1, 0)
    log = open_log(folder / "log")
    assert log.end(0) in (last + 1, last + 2)
    assert log.begin(0) <= safe
    numbers = [record.offset for record in log.read(0, log.begin(0))]
    assert numbers == list(range(log.begin(0), log.end(0)))
    lines = [stored.letter.line for stored in log.dead_letters("t", limit=1000)]
    assert lines == list(range(log.end(0)))
    for number in range(last + 1):
        name = f"request-{number}"
        assert log.find_answer("t", "p", name, b"f") == name.encode()
    assert log.verify() == []
    assert log.submit(append(1000)).result(20).offsets == (log.end(0) - 1, log.end(1) - 2)
    log.close()


def use_stores(recorder: Recorder) -> None:
    """Commit and write checkpoints; a promise is the position committed and the one checkpointed."""
    commits = EmbeddedCommitStore(recorder.folder / "commit.db", vfs=Recorder.vfs)
    chunks = EmbeddedCheckpointStore(recorder.folder / "checkpoints.db", vfs=Recorder.vfs)
    epoch = commits.acquire(0).epoch
    for position in range(60):
        commits.commit(
            [Commit(0, epoch, position, position + 1, Totals(counts={"t": {"scored": position + 1}}))]
        )
        recorder.promise((position + 1, position))
        payload = bytes([position]) * 150_000
        chunks.write([Chunk(shard, position + 1, payload) for shard in range(3)])
        recorder.promise((position + 1, position + 1))
    commits.close()
    chunks.close()


def check_stores(folder: Path, promises: list[Any]) -> None:
    """The position is the one promised or the next, with its totals; chunks are whole and of one write."""
    position, checkpointed = promises[-1] if promises else (0, 0)
    commits = EmbeddedCommitStore(folder / "commit.db")
    lease = commits.acquire(0)
    assert lease.position in (position, position + 1)
    assert lease.totals.counts.get("t", {}).get("scored", 0) == lease.position
    commits.close()
    chunks = EmbeddedCheckpointStore(folder / "checkpoints.db")
    found = list(chunks.read())
    assert len({chunk.position for chunk in found}) <= 1
    assert len(found) == 3 or not checkpointed
    for chunk in found:
        assert chunk.position in (checkpointed, checkpointed + 1)
        assert chunk.payload == bytes([chunk.position - 1]) * 150_000
    assert chunks.verify() == []
    chunks.close()


def failures(recorder: Recorder, scratch: Path, check: Check, seed: int) -> list[str]:
    """What the check finds wrong after each of the power cuts."""
    found = []
    for folder, promises in recorder.power_cuts(CUTS, seed, scratch):
        try:
            check(folder, promises)
        except (AssertionError, TocsinError, apsw.Error) as error:
            found.append(f"{folder.name}, promised {promises[-1:]}: {error!r}")
        shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_the_log_survives_power_cuts(seed: int, memory: Path) -> None:
    """Whatever the disk had not synced, no acknowledged record, answer or dead letter is lost or doubled."""
    with Recorder(memory / "disk") as recorder:
        use_log(recorder)
    assert failures(recorder, memory / "cuts", check_log, seed) == []


def test_commits_and_checkpoints_survive_power_cuts(memory: Path) -> None:
    """Position and totals stay together, merges of the write-ahead log included."""
    with Recorder(memory / "disk") as recorder:
        use_stores(recorder)
    assert failures(recorder, memory / "cuts", check_stores, 3) == []


class Hasty(apsw.Connection):
    """A connection that does not sync its commits."""

    def pragma(self, name: str, value: Any = None, **options: Any) -> Any:
        if name == "synchronous":
            value = "NORMAL"
        return (
            super().pragma(name, value, **options) if value is not None else super().pragma(name, **options)
        )


def test_the_simulation_notices_commits_that_are_not_synced(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With synchronous=NORMAL the same check fails, or it would prove nothing."""
    with monkeypatch.context() as planted, Recorder(memory / "disk") as recorder:
        planted.setattr(apsw, "Connection", Hasty)
        use_log(recorder)
    assert failures(recorder, memory / "cuts", check_log, 4)


def test_the_simulation_notices_names_that_are_not_synced(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the fsync of the directory the same check fails."""
    with monkeypatch.context() as planted, Recorder(memory / "disk") as recorder:
        planted.setattr(database, "sync_directory", lambda folder: None)
        use_log(recorder)
    assert failures(recorder, memory / "cuts", check_log, 5)
