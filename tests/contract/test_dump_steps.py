"""What every store of dump steps promises. A new implementation adds its maker to MAKERS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commit_kit import EPISODE
from tocsin.commit.abstract import Commit, CommitStore, DumpKind, FreedDump, Lease
from tocsin.commit.dump_steps import (
    BEFORE_ALL,
    DumpStepStore,
    JudgedDump,
    Standing,
    StepCommit,
    StepFailure,
    StepSnapshot,
)
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.errors import FencedError


class Maker(Protocol):
    """Opens the same stores again and again."""

    def open(self) -> tuple[CommitStore, DumpStepStore]:
        """The stores with all that was committed."""
        ...


@dataclass
class EmbeddedMaker:
    """An EmbeddedCommitStore in a file."""

    folder: Path

    def open(self) -> tuple[CommitStore, DumpStepStore]:
        store = EmbeddedCommitStore(self.folder / "commit.db")
        return store, store.steps


MAKERS: list[Callable[[Path], Maker]] = [EmbeddedMaker]
PARTITION = 2
STANDING = Standing(
    tenant="acme",
    device="press-3",
    detector="counting",
    revision=1,
    since=(0, 1),
    last=(0, 1),
    version="2",
    digest=f"{7:032x}",
    state=b"7 1",
)
FAILURE = StepFailure(
    epoch=0, sequence=2, sha256="b" * 64, version="2", kind="hang", detail="60 s", at_ms=5, episode="ep_1"
)
JUDGED = JudgedDump(epoch=0, sequence=1, sha256="a" * 64, version="2", findings=(b"{}",))


class Stores:
    """A commit store and its dump steps, with a lease of the partition."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self.commits, self.steps = maker.open()
        self.lease: Lease = self.commits.acquire(PARTITION)

    def reopen(self) -> None:
        """As after a restart, without taking the partition."""
        self.commits.close()
        self.commits, self.steps = self._maker.open()

    def free(self, *dumps: DumpReceived, released: tuple[tuple[str, str], ...] = ()) -> None:
        """Have the partition's processor set these free."""
        freed = [FreedDump(DumpKind.READY, dump) for dump in dumps]
        position = self.commits.positions()[PARTITION]
        totals = self.lease.totals
        self.commits.commit(
            [Commit(PARTITION, self.lease.epoch, position, position + 1, totals, (), freed, released)]
        )

    def step(self, standing: Standing = STANDING, **changes: object) -> StepCommit:
        """A commit of the holder's."""
        made = StepCommit(partition=PARTITION, lease_epoch=self.lease.epoch, standing=standing)
        return replace(made, **changes)  # type: ignore[arg-type]

    def everything(self) -> tuple[object, ...]:
        """All that a step may change."""
        return (
            self.steps.standings("acme", "press-3"),
            self.steps.judged("acme", "press-3", "counting", BEFORE_ALL),
            self.steps.ready_of("acme", "press-3"),
            self.steps.dealt("acme", "press-3", BEFORE_ALL),
            self.commits.outbox(0),
        )


@pytest.fixture(params=MAKERS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    made = Stores(request.param(tmp_path))
    yield made
    made.commits.close()


def dump(sequence: int = 1, device: str = "press-3", tenant: str = "acme", epoch: int = 0) -> DumpReceived:
    return DumpReceived(
        tenant=tenant,
        device=device,
        epoch=epoch,
        sequence=sequence,
        sha256="a" * 64,
        size_bytes=10,
        outcome=DumpOutcome.ACCEPTED,
    )


def test_a_step_is_there_after_reopening(stores: Stores) -> None:
    """Standing with its state, findings, episode, and the dump no longer ready, come back together."""
    stores.free(dump())
    (ready,) = stores.steps.ready_of("acme", "press-3")
    stores.steps.commit_step(stores.step(judged=[JUDGED], episodes=[EPISODE], done=[ready.number]))
    stores.reopen()
    assert stores.steps.standings("acme", "press-3") == {"counting": STANDING}
    assert stores.steps.judged("acme", "press-3", "counting", BEFORE_ALL) == [JUDGED]
    assert stores.steps.ready_of("acme", "press-3") == []
    assert stores.steps.dealt("acme", "press-3", BEFORE_ALL) == [dump()]
    assert [row.episode.id for row in stores.commits.outbox(0)] == [EPISODE.id]
    assert stores.steps.digests("acme") == [("press-3", "counting", 7)]


def test_a_worker_that_lost_its_partition_changes_nothing(stores: Stores) -> None:
    """Stalled until another holds the partition, it comes with its result: refused, as if it never came."""
    stores.free(dump())
    (ready,) = stores.steps.ready_of("acme", "press-3")
    stalled = stores.step(judged=[JUDGED], episodes=[EPISODE], done=[ready.number])
    before = stores.everything()
    stores.commits.acquire(PARTITION)
    with pytest.raises(FencedError):
        stores.steps.commit_step(stalled)
    with pytest.raises(FencedError):
        stores.steps.settle(PARTITION, stores.lease.epoch, [ready.number])
    assert stores.everything() == before


def test_a_step_comes_once(stores: Stores) -> None:
    """Its repeat is refused and changes nothing, and so is a step that does not follow the last one."""
    stores.free(dump())
    (ready,) = stores.steps.ready_of("acme", "press-3")
    done = stores.step(judged=[JUDGED], episodes=[EPISODE], done=[ready.number])
    stores.steps.commit_step(done)
    before = stores.everything()
    with pytest.raises(FencedError):
        stores.steps.commit_step(done)
    with pytest.raises(FencedError):
        stores.steps.commit_step(stores.step(msgspec.structs.replace(STANDING, revision=3)))
    assert stores.everything() == before


def test_a_dump_that_is_not_ready_any_more_refuses_the_whole_step(stores: Stores) -> None:
    """Neither standing nor findings are kept when the dump has been dealt with by another step."""
    stores.free(dump())
    (ready,) = stores.steps.ready_of("acme", "press-3")
    stores.steps.settle(PARTITION, stores.lease.epoch, [ready.number])
    before = stores.everything()
    with pytest.raises(FencedError):
        stores.steps.commit_step(stores.step(judged=[JUDGED], episodes=[EPISODE], done=[ready.number]))
    assert stores.everything() == before


def test_corrected_findings_keep_the_earlier_ones(stores: Stores) -> None:
    """The newest revision is what counts; all of them can be read."""
    stores.steps.commit_step(stores.step(judged=[JUDGED]))
    second = msgspec.structs.replace(JUDGED, revision=1, findings=())
    stores.steps.commit_step(stores.step(msgspec.structs.replace(STANDING, revision=2), judged=[second]))
    assert stores.steps.judged("acme", "press-3", "counting", BEFORE_ALL) == [second]
    assert stores.steps.revisions("acme", "press-3", "counting", (0, 1)) == [JUDGED, second]


def test_snapshots_come_and_go_with_their_step(stores: Stores) -> None:
    """The last before a dump is found again after reopening; one may be taken anew in place of another."""
    first, second = (
        StepSnapshot(epoch=0, sequence=number, version="2", config=b"{}", state=b"%d" % number, open=b"o")
        for number in (1, 16)
    )
    anew = msgspec.structs.replace(second, state=b"anew")
    named = ("acme", "press-3", "counting")
    stores.steps.commit_step(stores.step(snapshots=[first, second]))
    stores.reopen()
    assert stores.steps.snapshot_places(*named) == [(0, 1), (0, 16)]
    found = [stores.steps.snapshot(*named, before) for before in ((0, 1), (0, 16), (0, 17), (1, 1))]
    assert found == [None, first, second, second]
    changed = stores.step(
        msgspec.structs.replace(STANDING, revision=2), forgotten=[(0, 1), (0, 16)], snapshots=[anew]
    )
    stores.steps.commit_step(changed)
    with pytest.raises(FencedError):
        stores.steps.commit_step(changed)
    assert stores.steps.snapshot_places(*named) == [(0, 16)]
    assert stores.steps.snapshot(*named, (9, 9)) == anew


def test_devices_with_ready_dumps_come_by_name(stores: Stores) -> None:
    """Each once, whatever the order in which its dumps became ready; other tenants are not seen."""
    stores.free(dump(5, "c"), dump(2, "a"), dump(3, "a"), dump(1, "b"), dump(9, "a", tenant="other"))
    assert stores.steps.devices("acme", "") == ["a", "b", "c"]
    assert stores.steps.devices("acme", "a", limit=1) == ["b"]
    assert stores.steps.devices("acme", "c") == []
    assert [ready.freed.dump.sequence for ready in stores.steps.ready_of("acme", "a")] == [2, 3]
    assert [stores.steps.next_tenant(after) for after in ("", "acme", "other")] == ["acme", "other", None]
    assert (stores.steps.waiting(), stores.steps.waiting("acme")) == (5, 4)


def test_a_released_device_gets_a_turn_if_a_detector_has_stopped(stores: Stores) -> None:
    """The release and the turn come with the position: no crash can be between them."""
    stores.free(released=(("acme", "press-3"),))
    assert stores.steps.ready_of("acme", "press-3") == []
    stores.steps.commit_step(stores.step(msgspec.structs.replace(STANDING, failure=FAILURE)))
    stores.free(released=(("acme", "press-3"),))
    (ready,) = stores.steps.ready_of("acme", "press-3")
    assert (ready.freed.kind, ready.freed.dump.sequence) == (DumpKind.RESUME, FAILURE.sequence)
    stores.steps.settle(PARTITION, stores.lease.epoch, [ready.number])
    assert stores.steps.dealt("acme", "press-3", BEFORE_ALL) == []


places = st.tuples(st.integers(0, 3), st.integers(1, 20))


@settings(max_examples=20, deadline=None)
@given(found=st.sets(places, max_size=12), after=places, limit=st.integers(1, 5))
def test_dealt_dumps_come_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, found: set[tuple[int, int]], after: tuple[int, int], limit: int
) -> None:
    """By epoch, then number, whatever the order in which they were dealt with, page by page."""
    stores = Stores(EmbeddedMaker(tmp_path_factory.mktemp("dealt")))
    stores.free(*(dump(sequence, epoch=epoch) for epoch, sequence in found))
    numbers = [ready.number for ready in stores.steps.ready_of("acme", "press-3")]
    stores.steps.settle(PARTITION, stores.lease.epoch, numbers)
    given_back = [
        (each.epoch, each.sequence) for each in stores.steps.dealt("acme", "press-3", after, limit=limit)
    ]
    stores.commits.close()
    assert given_back == sorted(place for place in found if place > after)[:limit]
