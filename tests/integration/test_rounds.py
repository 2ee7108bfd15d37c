"""What the embedded runtime does in rounds, and what becomes of a round that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.integration.test_recovery import (
    NEVER,
    PARTITIONS,
    QUICK,
    reopened,
    running,
    segments,
    send,
    settled,
    stores_in,
)
from tests.kit import START_MS, Row, events_of, fleet
from tocsin.clock import SystemClock
from tocsin.commit.abstract import Chunk, Commit
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import (
    Correct,
    FeedbackGiven,
    FeedbackKind,
    Settings,
    decode_control,
    encode_control,
)
from tocsin.errors import CorruptError, NotFoundError, StorageFullError
from tocsin.lake.delta import DeltaLake
from tocsin.log.abstract import Append, Part, Record, RecordKind
from tocsin.observability.meters import Meters
from tocsin.processing.restoring import Restoration
from tocsin.processing.rows import STATE_VERSION
from tocsin.runtimes.embedded import decisions as decisions_of_runtime
from tocsin.runtimes.embedded.checkpointing import Checkpointing
from tocsin.runtimes.embedded.decisions import Decisions
from tocsin.runtimes.embedded.runtime import Runtime, Stores
from tocsin.services.digest import Digest
from tocsin.sharding import partition_of, shard_of


class FullDisk(EmbeddedCheckpointStore):
    """A store whose disk is full while somebody says so."""

    full = False

    def write(self, chunks: Sequence[Chunk]) -> None:
        if self.full:
            raise StorageFullError("the disk is full")
        super().write(chunks)


def run(folder: Path, rows: Sequence[Row]) -> Digest:
    """Let a runtime take these readings, and stop it, which writes a checkpoint."""
    with stores_in(folder) as stores, running(stores, NEVER) as runtime:
        send(stores, events_of(rows))
        return settled(runtime)


def chunks(folder: Path) -> list[Chunk]:
    """All chunks of the folder's checkpoints."""
    store = EmbeddedCheckpointStore(folder / "checkpoints.db")
    try:
        return list(store.read())
    finally:
        store.close()


def caught_up(runtime: Runtime) -> None:
    """Wait until all that is in the log is processed."""
    while not runtime.caught_up():
        SystemClock().sleep(0.01)


def test_a_round_that_could_not_be_written_is_written_by_the_next(tmp_path: Path) -> None:
    """It covers nothing until then, so that the log behind it stays; afterwards the state is all there."""
    with stores_in(tmp_path) as stores:
        store = FullDisk(tmp_path / "checkpoints.db")
        with running(replace(stores, checkpoints=store), NEVER) as runtime:
            send(stores, events_of(fleet(3, devices=8)))
            digest = settled(runtime)
            checkpointing = Checkpointing(store, runtime.workers)
            store.full = True
            with pytest.raises(StorageFullError):
                checkpointing.round()
            assert checkpointing.complete == {}
            store.full = False
            assert checkpointing.round() > PARTITIONS
            assert checkpointing.complete == {
                worker.partition: worker.state.position for worker in runtime.workers
            }
        store.close()
    assert reopened(tmp_path) == digest


def test_a_round_that_was_cut_off_leaves_older_chunks_to_the_log(tmp_path: Path) -> None:
    """Where one shard's chunk is newer than the others', every shard gets the records that it lacks."""
    rows = fleet(3, devices=8)
    run(tmp_path, rows[:400])
    before = chunks(tmp_path)
    digest = run(tmp_path, rows[400:])
    newer = next(chunk for chunk in chunks(tmp_path) if chunk.shard >= 0 and chunk not in before)
    store = EmbeddedCheckpointStore(tmp_path / "checkpoints.db")
    store.write([*before, newer])
    store.close()
    assert reopened(tmp_path) == digest


class LakeFull(DeltaLake):
    """A lake whose disk is full."""

    def append(self, records: Sequence[Record]) -> None:
        raise StorageFullError("the disk is full")


def test_the_log_keeps_what_the_lake_could_not_take(tmp_path: Path) -> None:
    """Though every checkpoint has passed it: only the lake and the log ever hold a raw record."""
    rows = fleet(3, devices=8)
    with stores_in(tmp_path) as stores:
        stores.lake.close()
        full = replace(stores, lake=LakeFull(tmp_path / "lake", SystemClock()))
        with running(full, NEVER) as runtime:
            for at in range(0, len(rows), 40):
                send(stores, events_of(rows[at : at + 40]))
            settled(runtime)
        assert len(segments(stores)) > 2
        assert [stores.log.begin(partition) for partition in range(PARTITIONS)] == [0] * PARTITIONS
        full.lake.close()


class Busy(EmbeddedCheckpointStore):
    """A store of checkpoints that lets something happen once, after it has written a first header."""

    meanwhile: Callable[[], None] | None = None

    def write(self, chunks: Sequence[Chunk]) -> None:
        super().write(chunks)
        if self.meanwhile is not None and any(chunk.shard < 0 for chunk in chunks):
            self.meanwhile()
            self.meanwhile = None

    def is_waiting(self) -> bool:
        """Whether it has not happened yet: who stops a runtime in its midst stops what it waits for."""
        return self.meanwhile is not None


def test_the_log_keeps_what_no_checkpoint_covers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though commit and lake have passed it since the round of checkpoints began."""
    rows = fleet(3, devices=8)
    trims: list[dict[int, int]] = []
    with stores_in(tmp_path) as stores:
        store = Busy(tmp_path / "checkpoints.db")
        trim = stores.log.trim

        def noted(safe: Mapping[int, int]) -> int:
            trims.append(dict(safe))
            return trim(safe)

        monkeypatch.setattr(stores.log, "trim", noted)

        def go_on() -> None:
            send(stores, events_of(rows[400:]))
            while stores.lake.positions() != ends(stores) or stores.commits.positions() != ends(stores):
                SystemClock().sleep(0.02)

        with running(replace(stores, checkpoints=store), QUICK):
            send(stores, events_of(rows[:400]))
            covered = stores.log.end(0)
            trims.clear()
            store.meanwhile = go_on
            while not trims or store.is_waiting():
                SystemClock().sleep(0.02)
        store.close()
    assert covered < max(safe[0] for safe in trims)
    assert trims[0][0] <= covered


def ends(stores: Stores) -> dict[int, int]:
    """Where the log ends, by partition."""
    return {partition: stores.log.end(partition) for partition in range(PARTITIONS)}


@pytest.mark.parametrize("version", [STATE_VERSION - 1, STATE_VERSION + 1])
def test_a_state_of_another_version_is_not_read(version: int, tmp_path: Path) -> None:
    """Neither that of an older Tocsin nor that of a newer one; whoever asks builds the state anew."""
    run(tmp_path, fleet(3, devices=2))
    for chunk in chunks(tmp_path):
        content = msgspec.msgpack.decode(chunk.payload)
        content[0] = version
        altered = Chunk(chunk.shard, chunk.position, msgspec.msgpack.encode(content))
        with pytest.raises(CorruptError, match=f"state version {version}"):
            Restoration(0).add(altered)


def test_a_recovery_that_arrives_at_other_sums_goes_no_further(tmp_path: Path) -> None:
    """What was committed is the measure: a state with another digest judges nothing."""
    run(tmp_path, fleet(3, devices=8))
    commits = EmbeddedCommitStore(tmp_path / "commit.db")
    lease = commits.acquire(0)
    other = msgspec.structs.replace(lease.totals, final="0" * 32)
    commits.commit([Commit(0, lease.epoch, lease.position, lease.position, other)])
    commits.close()
    with pytest.raises(CorruptError, match="another final digest"):
        reopened(tmp_path)


def test_a_device_that_is_late_twice_is_corrected_twice(tmp_path: Path) -> None:
    """A round asks again for devices that became late after the last one."""
    rows = fleet(3, devices=1, steps=60)
    with stores_in(tmp_path) as stores, running(stores, NEVER) as runtime:
        decisions = Decisions(
            stores.log, stores.lake, runtime.workers, lambda _: Settings(), lambda: ["t"], SystemClock()
        )
        send(stores, events_of([row for number, row in enumerate(rows) if number not in (20, 40)]))
        for number in (20, 40):
            send(stores, events_of([rows[number]]))
            caught_up(runtime)
            assert runtime.views.digest("t").pending
            decisions.corrections()
            caught_up(runtime)
            assert not runtime.views.digest("t").pending


@pytest.mark.parametrize(("readings_max", "most"), [(1, 1), (2 * 2 * 3, 2), (10**9, 8)])
def test_a_correction_names_fewer_devices_the_more_they_have_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings_max: int, most: int
) -> None:
    """What they have sent is judged anew at once, so it has to be bounded; all have their turn."""
    monkeypatch.setattr(decisions_of_runtime, "READINGS_PER_RECORD", readings_max)
    devices = [f"d{number}" for number in range(8)]
    values = {"pressure": 1.0, "flow": 2.0}
    with stores_in(tmp_path) as stores, running(stores, NEVER) as runtime:
        decisions = Decisions(
            stores.log, stores.lake, runtime.workers, lambda _: Settings(), lambda: ["t"], SystemClock()
        )
        for step in (0, 2, 1):
            send(stores, events_of([(device, START_MS + step * 60_000, values) for device in devices]))
        caught_up(runtime)
        decisions.corrections()
        caught_up(runtime)
        named = [
            control.devices
            for partition in range(stores.log.partitions)
            for record in stores.log.read(partition, 0)
            if record.kind is RecordKind.CONTROL
            and isinstance(control := decode_control(record.payload), Correct)
        ]
        assert max(map(len, named)) <= most
        assert sorted(device for some in named for device in some) == devices
        assert not runtime.views.digest("t").pending


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_ends_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs it is told, and hears why: half a runtime would take lines that nobody judges."""

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake in the code")

    told = threading.Event()
    with ExitStack() as stack:
        stores = stack.enter_context(stores_in(tmp_path))
        runtime = stack.enter_context(running(stores, NEVER, fails=True))
        runtime.on_failure = told.set
        caught_up(runtime)
        monkeypatch.setattr(EmbeddedCommitStore, "commit", broken)
        send(stores, events_of(fleet(3, devices=1)))
        assert told.wait(30)
        assert str(runtime.failure) == "a mistake in the code"


def test_it_is_known_whether_feedback_on_a_device_was_taken(tmp_path: Path) -> None:
    """What is logged and not yet taken is not in force: nobody may be told what it comes to. It is another
    one's where the device or the tenant is another."""
    said = FeedbackGiven(
        tenant="t", device="d", kind=FeedbackKind.FALSE_ALARM, series=(), anomaly="an_1", action=1, at_ms=0
    )
    part = Part(partition_of(shard_of("t", "d"), PARTITIONS), RecordKind.CONTROL, 1, encode_control(said))
    with stores_in(tmp_path) as stores:
        runtime = Runtime(stores, lambda _: Settings(), lambda: ["t"], SystemClock(), Meters(), NEVER)
        assert runtime.views.has_heard_all("t", "d")
        stores.log.submit(Append(tenant="t", arrival_ms=0, parts=(part,))).result()
        heard = [runtime.views.has_heard_all(*each) for each in (("t", "d"), ("t", "e"), ("u", "d"))]
        assert heard == [False, True, True]
        with running(stores, NEVER) as started:
            caught_up(started)
            assert started.views.has_heard_all("t", "d")


def test_what_a_busy_processor_has_heard_is_not_known(tmp_path: Path) -> None:
    """Feedback is taken then, as other actions are: a record of it is durable and waits."""
    with stores_in(tmp_path) as stores:
        runtime = Runtime(stores, lambda _: Settings(), lambda: ["t"], SystemClock(), Meters(), NEVER)
        runtime.views.patience_s = 0.01
        with runtime.workers[partition_of(shard_of("t", "d"), PARTITIONS)].lock:
            assert not runtime.views.has_heard_all("t", "d")
        assert runtime.views.has_heard_all("t", "d")


def test_what_is_trimmed_while_it_is_looked_at_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor goes on between two looks: nobody is told that there is no such anomaly."""

    def trimmed(partition: int, offset: int) -> list[Record]:
        raise NotFoundError(f"offset {offset} of partition {partition} was trimmed")

    with stores_in(tmp_path) as stores:
        runtime = Runtime(stores, lambda _: Settings(), lambda: ["t"], SystemClock(), Meters(), NEVER)
        monkeypatch.setattr(stores.log, "read", trimmed)
        assert not runtime.views.has_heard_all("t", "d")
