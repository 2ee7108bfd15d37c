"""The embedded runtime comes back to the same state, whatever is left of its checkpoints and its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.kit import events_of, fleet
from tests.unit.test_processor import late
from tocsin.clock import SystemClock
from tocsin.commit.abstract import Chunk
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import Settings
from tocsin.errors import CorruptError
from tocsin.events import EventBatch
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.ingest.known_devices import KnownDevices
from tocsin.lake.delta import DeltaLake
from tocsin.lake.writer import FlushPolicy
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.catalogue import SegmentInfo
from tocsin.log.embedded import EmbeddedLog
from tocsin.observability.meters import Meters
from tocsin.payloads import cut_events
from tocsin.runtimes.embedded.dump_running import DumpWork
from tocsin.runtimes.embedded.runtime import Pace, Runtime, Stores
from tocsin.runtimes.embedded.scored import KeepOf
from tocsin.scores.embedded import EmbeddedAbnormalReadings
from tocsin.services.digest import Digest

PARTITIONS = 2
QUICK = Pace(
    tick_s=3600,
    checkpoint_s=0.05,
    correction_s=0.05,
    lake_s=0.05,
    flush=FlushPolicy(rows=100, age_s=0.05),
)
NEVER = Pace(tick_s=3600, checkpoint_s=3600, correction_s=3600, lake_s=3600)


@contextmanager
def stores_in(folder: Path) -> Iterator[Stores]:
    clock = SystemClock()
    stores = Stores(
        log=EmbeddedLog(folder / "log", PARTITIONS, clock, segment_bytes_max=20_000),
        commits=EmbeddedCommitStore(folder / "commit.db"),
        checkpoints=EmbeddedCheckpointStore(folder / "checkpoints.db"),
        inbox=EmbeddedInbox(folder / "inbox.db"),
        findings=EmbeddedAbnormalReadings(folder / "abnormal.db"),
        lake=DeltaLake(folder / "lake", clock),
    )
    try:
        yield stores
    finally:
        for name in ("log", "commits", "checkpoints", "inbox", "findings", "lake"):
            getattr(stores, name).close()


@contextmanager
def running(
    stores: Stores,
    pace: Pace,
    projected: Callable[[], int] | None = None,
    keep_scores: KeepOf | None = None,
    fails: bool = False,
    settings: Settings | None = None,
    meters: Meters | None = None,
    dumps: DumpWork | None = None,
) -> Iterator[Runtime]:
    meters, clock = meters or Meters(), SystemClock()
    runtime = Runtime(
        stores,
        lambda _: settings or Settings(),
        lambda: ["t"],
        clock,
        meters,
        pace,
        projected=projected,
        keep_scores=keep_scores,
        dumps=dumps,
    )
    runtime.start()
    try:
        yield runtime
    finally:
        runtime.stop()
        meters.close()
    assert fails or runtime.failure is None


def send(stores: Stores, batch: EventBatch) -> None:
    devices = KnownDevices("t")
    partition = devices.partition(devices.add(batch.device), PARTITIONS)
    parts = [
        Part(number, RecordKind.EVENTS, count, payload)
        for number, count, payload in cut_events(batch, partition, PARTITIONS)
    ]
    stores.log.submit(Append(tenant="t", arrival_ms=0, parts=parts)).result()


def settled(runtime: Runtime) -> Digest:
    """The digest once everything is processed, corrected and folded."""
    clock = SystemClock()
    while not runtime.caught_up() or runtime.views.digest("t").pending:
        clock.sleep(0.02)
        assert runtime.failure is None
    return runtime.views.digest("t")


def segments(stores: Stores) -> list[SegmentInfo]:
    assert isinstance(stores.log, EmbeddedLog)
    return stores.log.segments()


def trimmed(stores: Stores) -> bool:
    return all(stores.log.begin(partition) > 0 for partition in range(PARTITIONS))


@pytest.fixture
def used(tmp_path: Path) -> tuple[Path, Digest]:
    """A folder that has seen late data, corrections, flushes, checkpoints and trims, and its digest."""
    rows = late(fleet(7, devices=8), 7)
    clock = SystemClock()
    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        for at in range(0, len(rows), 40):
            send(stores, events_of(rows[at : at + 40]))
        digest = settled(runtime)
        while not trimmed(stores):
            send(stores, events_of(rows[-8:]))
            settled(runtime)
            clock.sleep(0.05)
        digest = settled(runtime)
    return tmp_path, digest


def reopened(folder: Path) -> Digest:
    with stores_in(folder) as stores, running(stores, NEVER) as runtime:
        return runtime.views.digest("t")


def test_a_restart_has_the_same_state(used: tuple[Path, Digest]) -> None:
    """From checkpoints and a trimmed log, digests and counts are those from before."""
    folder, digest = used
    assert reopened(folder) == digest


def test_the_lake_has_everything_once_the_runtime_has_stopped(tmp_path: Path) -> None:
    """What waited for its time to be flushed is in the lake when the runtime stops, for other programs."""
    with stores_in(tmp_path) as stores:
        with running(stores, NEVER):
            send(stores, events_of(fleet(7, devices=8)))
            assert not any(stores.lake.positions().values())
        ends = {partition: stores.log.end(partition) for partition in range(PARTITIONS)}
        assert stores.lake.positions() == ends


def test_a_lost_checkpoint_is_rebuilt_from_the_lake(used: tuple[Path, Digest]) -> None:
    """Without any chunk the state is built from the first record, which only the lake still has."""
    folder, digest = used
    for path in folder.glob("checkpoints.db*"):
        path.unlink()
    assert reopened(folder) == digest


def test_a_lost_commit_store_is_told_as_what_it_is(used: tuple[Path, Digest]) -> None:
    """Nothing is wrong with the log, which holds all that was acknowledged; nothing is started over it."""
    folder, _ = used
    for path in folder.glob("commit.db*"):
        path.unlink()
    with pytest.raises(CorruptError, match=r"commit\.db was deleted, or is an older copy"):
        reopened(folder)


def test_a_chunk_of_another_version_is_rebuilt(used: tuple[Path, Digest]) -> None:
    """A state that an older or newer version wrote is never guessed at."""
    folder, digest = used
    store = EmbeddedCheckpointStore(folder / "checkpoints.db")
    chunk = next(chunk for chunk in store.read() if chunk.shard >= 0)
    altered = bytes([chunk.payload[0], chunk.payload[1] + 1]) + chunk.payload[2:]
    store.write([Chunk(chunk.shard, chunk.position, altered)])
    store.close()
    assert reopened(folder) == digest


def test_a_flipped_bit_in_a_chunk_is_noticed_and_rebuilt(used: tuple[Path, Digest]) -> None:
    """A chunk that does not match its hash is left out, and its partition is built anew."""
    folder, digest = used
    store = EmbeddedCheckpointStore(folder / "checkpoints.db")
    payload = next(chunk.payload for chunk in store.read() if chunk.shard >= 0)
    store.close()
    path = folder / "checkpoints.db"
    content = bytearray(path.read_bytes())
    at = content.find(payload[-32:])
    assert at > 0
    content[at] ^= 1
    path.write_bytes(content)
    assert reopened(folder) == digest


@pytest.mark.parametrize(
    "pace", [replace(QUICK, lake_s=3600.0), replace(QUICK, checkpoint_s=3600.0)], ids=["lake", "checkpoint"]
)
def test_no_segment_goes_before_lake_and_checkpoint_have_passed_it(pace: Pace, tmp_path: Path) -> None:
    """While the lake or the checkpoints stand still the log keeps everything; afterwards it is trimmed."""
    rows = fleet(3, devices=8)
    clock = SystemClock()
    with stores_in(tmp_path) as stores:
        with running(stores, pace) as runtime:
            for at in range(0, len(rows), 40):
                send(stores, events_of(rows[at : at + 40]))
            settled(runtime)
            clock.sleep(0.3)
            assert len(segments(stores)) > 2
            assert [stores.log.begin(partition) for partition in range(PARTITIONS)] == [0] * PARTITIONS
        with running(stores, QUICK) as runtime:
            while not trimmed(stores):
                send(stores, events_of(rows[-8:]))
                settled(runtime)


def test_a_log_with_settings_that_no_detector_can_use_comes_up(tmp_path: Path) -> None:
    """They act as the defaults do, at every start, and the start that supersedes them names them."""
    bad = Settings(detectors={"seasonal": {"memory": 0.0}, "health": {"limmit": 1.0}, "sesonal": {}})
    with stores_in(tmp_path) as stores, capture_logs() as told:
        with running(stores, NEVER, settings=bad) as runtime:
            send(stores, events_of(fleet(3)))
            judged = settled(runtime)
        with running(stores, NEVER, settings=bad) as runtime:
            assert settled(runtime) == judged
        assert "logged_settings_unusable" not in {entry["event"] for entry in told}
        with running(stores, NEVER, settings=Settings()) as runtime:
            assert settled(runtime) == judged
    unusable = [entry["error"] for entry in told if entry["event"] == "logged_settings_unusable"]
    assert len(unusable) == 3 * PARTITIONS
    assert "there is no detector 'sesonal'; known are health, seasonal" in unusable
