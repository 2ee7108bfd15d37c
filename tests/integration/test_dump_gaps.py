"""From the log to ready dumps in the running runtime; gaps are given up by a record in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.integration.test_recovery import NEVER, PARTITIONS, running, stores_in
from tocsin.clock import ManualClock, SystemClock
from tocsin.commit.abstract import DumpKind
from tocsin.commit.dump_steps import BEFORE_ALL
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import (
    Control,
    DumpDetectorRule,
    DumpOutcome,
    DumpReceived,
    DumpRules,
    GapGivenUp,
    Settings,
    decode_control,
    encode_control,
)
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.model import Episode
from tocsin.observability.meters import Meters
from tocsin.processing.dump_gaps import prove_gap
from tocsin.processing.dump_places import MissingDumps
from tocsin.processing.proof import Proof
from tocsin.runtimes.embedded.decisions import AFTER_START_S, Decisions
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.runtime import Runtime, Stores
from tocsin.sharding import partition_of, shard_of

WAIT_S = 2 * AFTER_START_S
DEVICE = "press-3"
WATCHED = Settings(
    dumps=DumpRules(gap_wait_s=WAIT_S), dump_detectors={"counting": DumpDetectorRule(version="2")}
)
PARTITION = partition_of(shard_of("t", DEVICE), PARTITIONS)


class Site:
    """A runtime whose ticks come when the test says so, by a clock that the test moves."""

    def __init__(self, stores: Stores, runtime: Runtime, clock: ManualClock) -> None:
        self.stores, self.runtime, self.clock = stores, runtime, clock
        self.decisions = Decisions(
            stores.log,
            stores.lake,
            runtime.workers,
            lambda _: WATCHED,
            lambda: ["t"],
            clock,
        )

    def receive(
        self, *sequences: int, device: str = DEVICE, outcome: DumpOutcome = DumpOutcome.ACCEPTED
    ) -> None:
        """Log that these dumps came."""
        for sequence in sequences:
            record = DumpReceived(
                tenant="t",
                device=device,
                sequence=sequence,
                sha256=f"{sequence:064x}",
                size_bytes=1,
                outcome=outcome,
            )
            partition = partition_of(shard_of("t", device), PARTITIONS)
            part = Part(partition, RecordKind.CONTROL, 1, encode_control(record))
            self.stores.log.submit(Append(tenant="t", arrival_ms=0, parts=(part,))).result()
        self.settle()

    def tick_after(self, *pauses_s: int) -> None:
        """Let time pass and tick, again and again."""
        for pause_s in pauses_s:
            self.clock.sleep(pause_s)
            self.decisions.tick()
            self.settle()

    def settle(self) -> None:
        """Wait until all that is logged is committed."""
        while not self.runtime.caught_up():
            assert self.runtime.failure is None
            SystemClock().sleep(0.01)

    def episodes(self) -> list[Episode]:
        """All of the device, with evidence."""
        commits = self.stores.commits
        found = (commits.episode("t", each.id) for each in commits.episodes("t", device=DEVICE))
        return [each for each in found if each is not None]

    def ready(self) -> list[tuple[int, DumpKind]]:
        """The device's dumps in the order in which they became ready."""
        found = self.stores.commits.ready_dumps(PARTITION)
        return [(item.freed.dump.sequence, item.freed.kind) for item in found]

    def logged(self) -> list[Control]:
        """Every decision in the device's partition, in order, but for ticks and settings."""
        records = self.stores.log.read(PARTITION, 0)
        found = [decode_control(record.payload) for record in records if record.kind is RecordKind.CONTROL]
        return [item for item in found if isinstance(item, DumpReceived | GapGivenUp)]


@contextmanager
def site(folder: Path, clock: ManualClock, meters: Meters | None = None) -> Iterator[Site]:
    with stores_in(folder) as stores, running(stores, NEVER, settings=WATCHED, meters=meters) as runtime:
        yield Site(stores, runtime, clock)


def test_dumps_that_no_detector_is_to_see_are_dealt_with_at_once(tmp_path: Path) -> None:
    """They are ordered and kept for later, but the table of what waits for detectors stays empty."""
    with stores_in(tmp_path) as stores, running(stores, NEVER) as runtime:
        at = Site(stores, runtime, ManualClock())
        at.receive(1, 3, 2)
        assert at.ready() == []
        assert isinstance(stores.commits, EmbeddedCommitStore)
        assert [dump.sequence for dump in stores.commits.steps.dealt("t", DEVICE, BEFORE_ALL)] == [1, 2, 3]


READY, AFTER_GAP = DumpKind.READY, DumpKind.AFTER_GAP


def test_a_gap_is_waited_for_then_given_up_by_a_record(tmp_path: Path) -> None:
    """Dumps behind it become ready when its time is over, and one that comes still later is told apart."""
    with site(tmp_path, ManualClock()) as at:
        at.receive(1, 2, 4, 5)
        at.tick_after(60, WAIT_S - 60)
        assert at.ready() == [(1, READY), (2, READY)]
        at.tick_after(60, 60)
        assert at.ready() == [(1, READY), (2, READY), (4, READY), (5, READY)]
        at.receive(3, 6)
        assert at.ready()[-2:] == [(3, AFTER_GAP), (6, READY)]
        gaps = [record for record in at.logged() if isinstance(record, GapGivenUp)]
        gap = GapGivenUp(
            tenant="t",
            device=DEVICE,
            epoch=0,
            from_sequence=3,
            to_sequence=3,
            at_ms=WAIT_S * 1000 + 60_000,
            waited_ms=WAIT_S * 1000,
        )
        assert gaps == [gap]
        (episode,) = at.episodes()
        assert (episode.started_ms, episode.end_ms) == (60_000, gap.at_ms)
        assert episode.explanation.startswith("dump 3 is missing: it had not come after 1 hour,")
        (anomaly,) = at.stores.inbox.anomalies(AnomalyQuery("t"))
        assert anomaly.explanation.endswith(episode.explanation)
        assert at.runtime.views.explain("t", episode.id)[1] == Proof(True, 4, ())


def places(meters: Meters) -> dict[str, int]:
    """Dumps by place, as the metrics say."""
    found = {}
    for line in meters.render_prometheus().decode().splitlines():
        if line.startswith("tocsin_dumps_places{"):
            found[line.split('"')[1]] = int(float(line.rpartition(" ")[2]))
    return found


def test_every_dump_that_was_received_is_in_one_place(tmp_path: Path) -> None:
    """The metrics add up to what was received, exactly, also after a restart without checkpoints."""
    clock, meters = ManualClock(), Meters()
    expected = {"ready": 4, "waiting": 1, "after_gap": 1, "duplicate": 1, "conflict": 1, "quarantined": 1}
    with site(tmp_path, clock, meters) as at:
        at.receive(1, 3)
        at.tick_after(60, WAIT_S, 60)
        at.receive(2, 1, 6)
        at.receive(3, outcome=DumpOutcome.CONFLICT)
        at.receive(4, outcome=DumpOutcome.QUARANTINED)
        at.receive(5, 8)
        found = at.runtime.views.dumps("t", DEVICE)
        assert found is not None
        assert [(item.dump.sequence, item.state) for item in found.dumps] == [
            (1, "ready"), (2, "after_gap"), (3, "ready"), (4, "quarantined"), (5, "ready"), (6, "ready"),
            (8, "waiting"),
        ]  # fmt: skip
        assert found.missing == (MissingDumps(epoch=0, first=7, last=7, given_up=False),)
        assert at.runtime.views.dumps("t", "nobody") is None
        received = len([record for record in at.logged() if isinstance(record, DumpReceived)])
        assert places(meters) == expected
        assert sum(places(meters).values()) == received == 9
    for path in tmp_path.glob("checkpoints.db*"):
        path.unlink()
    meters = Meters()
    with site(tmp_path, clock, meters) as at:
        assert sum(places(meters).values()) == received
        at.receive(7)
        assert places(meters) == expected | {"ready": 6, "waiting": 0}


def test_the_episode_of_a_gap_is_proved_from_log_and_lake(tmp_path: Path) -> None:
    """Also once the log is trimmed; it is not proved when it says anything that the log does not."""
    clock = ManualClock()
    with site(tmp_path, clock) as at:
        at.receive(1, 4, 6)
        at.tick_after(60, WAIT_S, 60)
    with site(tmp_path, clock) as at:
        assert set(at.stores.lake.positions().values()) != {0}
        (episode,) = at.episodes()
        assert "dumps 2 to 3, 5 are missing" in episode.explanation
        assert at.runtime.views.explain("t", episode.id)[1].matches
        history = DeviceHistory(at.stores.log, at.stores.lake)
        assert episode.evidence is not None
        decisions = history.dumps("t", DEVICE, episode.evidence.before_offset)
        other = msgspec.structs.replace(episode, explanation=episode.explanation.replace("5", "7"))
        assert not prove_gap(other, decisions).matches
        assert not prove_gap(episode, decisions[:-1]).matches
        assert not prove_gap(episode, [*decisions[:1], *decisions[2:]]).matches
        late = [(0, decision) for _, decision in decisions[-1:]]
        assert not prove_gap(episode, late).matches


def test_ready_dumps_outlive_the_process_and_none_is_ready_twice(tmp_path: Path) -> None:
    """A restart, with a checkpoint or with the log alone, goes on behind what was committed."""
    clock = ManualClock()
    with site(tmp_path, clock) as at:
        at.receive(1, 3)
    with site(tmp_path, clock) as at:
        assert at.ready() == [(1, READY)]
        at.receive(2)
    for path in tmp_path.glob("checkpoints.db*"):
        path.unlink()
    with site(tmp_path, clock) as at:
        assert at.ready() == [(1, READY), (2, READY), (3, READY)]
        at.receive(3, 4)
        assert at.ready() == [(1, READY), (2, READY), (3, READY), (4, READY)]


def test_time_in_which_nothing_ran_is_not_waited(tmp_path: Path) -> None:
    """After an outage devices get time to send what they could not, before anything is given up."""
    clock = ManualClock()
    with site(tmp_path, clock) as at:
        at.receive(1, 3)
        at.tick_after(60)
    clock.sleep(10 * WAIT_S)
    with site(tmp_path, clock) as at:
        at.tick_after(60, AFTER_START_S - 120)
        assert at.ready() == [(1, READY)]
        at.tick_after(120)
        assert at.ready() == [(1, READY), (3, READY)]


def test_many_devices_give_up_at_one_tick(tmp_path: Path) -> None:
    """Each in a record of its own; a device that waits for nothing gets none."""
    names = [f"d{number:02}" for number in range(40)]
    with site(tmp_path, ManualClock()) as at:
        for name in names:
            at.receive(1, 3, device=name)
        at.receive(1, 2)
        at.tick_after(60, WAIT_S, 60)
        freed = [
            item.freed.dump for number in range(PARTITIONS) for item in at.stores.commits.ready_dumps(number)
        ]
        assert sorted(dump.device for dump in freed if dump.sequence == 3) == names
        workers = at.runtime.workers
        assert not any(worker.state.dumps.overdue(2**50, lambda _: 0) for worker in workers)
        before = [at.stores.log.end(number) for number in range(PARTITIONS)]
        at.tick_after(60)
        assert [at.stores.log.end(number) for number in range(PARTITIONS)] == [end + 1 for end in before]
