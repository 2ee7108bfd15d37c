"""What every commit store promises. A new implementation adds its maker to MAKERS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commit_kit import EPISODE, episode, freed, plain
from tocsin.commit.abstract import Commit, CommitStore, DumpKind, FreedDump, Totals
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import FencedError
from tocsin.model import Episode


class Maker(Protocol):
    """Opens the same store again and again."""

    def open(self) -> CommitStore:
        """The store with all that was committed."""
        ...


@dataclass
class EmbeddedMaker:
    """An EmbeddedCommitStore in a file."""

    folder: Path

    def open(self) -> CommitStore:
        return EmbeddedCommitStore(self.folder / "commit.db")


MAKERS: list[Callable[[Path], Maker]] = [EmbeddedMaker]


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    made: Maker = request.param(tmp_path)
    return made


@pytest.fixture
def store(maker: Maker) -> Iterator[CommitStore]:
    opened = maker.open()
    yield opened
    opened.close()


def put(store: CommitStore, *episodes: Episode, partition: int = 0) -> None:
    """Commit episodes as a new holder of the partition."""
    lease = store.acquire(partition)
    store.commit([Commit(partition, lease.epoch, lease.position, lease.position + 1, lease.totals, episodes)])


def test_a_partition_starts_at_zero_with_epoch_one(store: CommitStore) -> None:
    """The first holder of a partition reads its log from the beginning."""
    lease = store.acquire(3)
    assert (lease.partition, lease.epoch, lease.position, lease.totals) == (3, 1, 0, Totals())
    assert store.positions() == {3: 0}


def test_a_commit_is_there_after_reopening(maker: Maker) -> None:
    """Position, totals and episodes of a commit come back together."""
    totals = Totals(raw="f" * 32, scored="1" * 32, final="2" * 32, counts={"t": {"scored": 10, "late": 1}})
    first = maker.open()
    lease = first.acquire(0)
    first.commit([Commit(0, lease.epoch, 0, 10, totals, [EPISODE])])
    first.close()
    second = maker.open()
    assert second.positions() == {0: 10}
    again = second.acquire(0)
    assert (again.epoch, again.position, again.totals) == (2, 10, totals)
    assert second.episode("acme", "e1") == EPISODE
    second.close()


def test_a_new_holder_fences_the_old_one_off(store: CommitStore) -> None:
    """A worker that lost its partition can't write any more, however late it wakes up."""
    old, new = store.acquire(0), store.acquire(0)
    assert new.epoch > old.epoch
    with pytest.raises(FencedError):
        store.commit([Commit(0, old.epoch, 0, 10, Totals(), [EPISODE])])
    store.commit([Commit(0, new.epoch, 0, 5, Totals())])
    assert store.positions() == {0: 5}
    assert store.episode("acme", "e1") is None


def test_a_commit_from_another_position_is_fenced_off(store: CommitStore) -> None:
    """The same step can't be committed twice, nor one be left out."""
    lease = store.acquire(0)
    store.commit([Commit(0, lease.epoch, 0, 10, Totals())])
    for previous in (0, 11):
        with pytest.raises(FencedError):
            store.commit([Commit(0, lease.epoch, previous, 20, Totals())])
    with pytest.raises(FencedError):
        store.commit([Commit(1, 1, 0, 1, Totals())])
    assert store.positions() == {0: 10}


def test_a_commit_never_goes_back(store: CommitStore) -> None:
    """A position before the last one is a mistake of the caller."""
    lease = store.acquire(0)
    store.commit([Commit(0, lease.epoch, 0, 10, Totals())])
    with pytest.raises(ValueError, match="before"):
        store.commit([Commit(0, lease.epoch, 10, 9, Totals())])


def test_commits_of_several_partitions_are_one(store: CommitStore) -> None:
    """If one of them is refused, none of them has happened."""
    leases = [store.acquire(partition) for partition in range(3)]
    good = [Commit(lease.partition, lease.epoch, 0, 7, Totals(), [EPISODE]) for lease in leases]
    bad = Commit(2, leases[2].epoch + 1, 0, 7, Totals())
    with pytest.raises(FencedError):
        store.commit([*good[:2], bad])
    assert store.positions() == {0: 0, 1: 0, 2: 0}
    assert store.outbox(0) == []
    store.commit(good)
    assert store.positions() == {0: 7, 1: 7, 2: 7}


def test_a_commit_whose_episode_cannot_be_kept_moves_nothing(store: CommitStore) -> None:
    """Position and episodes are one: what fails in the middle has not begun, and can be done again."""
    lease = store.acquire(0)
    broken = episode(id="e2", explanation="no text: \ud800")
    with pytest.raises(UnicodeEncodeError):
        store.commit([Commit(0, lease.epoch, 0, 7, Totals(), [EPISODE, broken])])
    assert store.positions() == {0: 0}
    assert store.outbox(0) == []
    store.commit([Commit(0, lease.epoch, 0, 7, Totals(), [EPISODE])])
    assert [row.episode.id for row in store.outbox(0)] == ["e1"]


def test_dumps_set_free_are_there_after_reopening_in_their_order(maker: Maker) -> None:
    """Numbers ascend over all partitions; each partition is read by itself, in pages."""
    first = maker.open()
    leases = [first.acquire(partition) for partition in range(2)]
    sent = [freed(1), freed(3), freed(2, DumpKind.AFTER_GAP)]
    first.commit([Commit(0, leases[0].epoch, 0, 5, Totals(), (), sent)])
    first.commit([Commit(1, leases[1].epoch, 0, 5, Totals(), (), [freed(9)])])
    first.close()
    second = maker.open()
    found = second.ready_dumps(0)
    assert [item.freed for item in found] == sent
    assert [item.partition for item in found] == [0, 0, 0]
    (other,) = second.ready_dumps(1)
    assert other.freed == freed(9)
    assert [item.number for item in (*found, other)] == sorted(item.number for item in (*found, other))
    assert second.ready_dumps(0, limit=2) == found[:2]
    assert second.ready_dumps(0, found[0].number) == found[1:]
    second.close()


def test_a_dump_is_set_free_with_the_position_or_not_at_all(store: CommitStore) -> None:
    """A commit that is fenced off or fails in the middle leaves no dump behind."""
    old, new = store.acquire(0), store.acquire(0)
    with pytest.raises(FencedError):
        store.commit([Commit(0, old.epoch, 0, 5, Totals(), (), [freed()])])
    broken = FreedDump(DumpKind.READY, msgspec.structs.replace(freed().dump, device="no text: \ud800"))
    with pytest.raises(UnicodeEncodeError):
        store.commit([Commit(0, new.epoch, 0, 5, Totals(), [EPISODE], [freed(), broken])])
    assert store.ready_dumps(0) == []
    assert store.positions() == {0: 0}
    store.commit([Commit(0, new.epoch, 0, 5, Totals(), [EPISODE], [freed()])])
    assert [item.freed for item in store.ready_dumps(0)] == [freed()]


def test_the_outbox_gives_every_state_in_order_once(store: CommitStore) -> None:
    """Sequences ascend over all partitions, and what follows a sequence is what came after it."""
    put(store, episode(id="a"), episode(id="b"))
    put(store, episode(id="a", end_ms=2_000), partition=1)
    rows = store.outbox(0)
    assert [(row.episode.id, row.episode.end_ms) for row in rows] == [("a", None), ("b", None), ("a", 2_000)]
    assert [row.sequence for row in rows] == sorted({row.sequence for row in rows})
    assert store.outbox(rows[0].sequence) == rows[1:]
    assert store.outbox(0, limit=2) == rows[:2]
    assert [store.waiting(after) for after in (0, rows[0].sequence, rows[-1].sequence)] == [3, 2, 0]


def test_pruned_rows_do_not_come_back_and_their_sequences_are_not_given_again(maker: Maker) -> None:
    """The inbox can rely on a sequence as the name of one row for ever."""
    store = maker.open()
    put(store, episode(id="a"), episode(id="b"))
    first, last = (row.sequence for row in store.outbox(0))
    store.prune_outbox(first)
    assert [row.sequence for row in store.outbox(0)] == [last]
    store.prune_outbox(last)
    store.prune_outbox(last - 1)
    assert store.outbox(0) == []
    assert store.waiting(0) == 0
    store.close()
    store = maker.open()
    put(store, episode(id="c"))
    (row,) = store.outbox(0)
    assert row.sequence > last
    assert store.revisions("acme", "a") == [episode(id="a")]
    store.close()


def test_the_newest_revision_is_the_episode_and_the_old_ones_are_kept(store: CommitStore) -> None:
    """A correction supersedes; what was said before can still be seen, each with its evidence."""
    states = [EPISODE, episode(end_ms=2_000), episode(revision=1, retracted=True, evidence=None)]
    for state in states:
        put(store, state)
    assert store.episode("acme", "e1") == states[-1]
    assert store.revisions("acme", "e1") == states
    assert store.episodes("acme") == [states[-1]]


def test_an_older_revision_never_hides_a_newer_one(store: CommitStore) -> None:
    """A correction that is already there stays the episode, whatever arrives late."""
    put(store, episode(revision=2))
    put(store, episode(revision=1))
    found = store.episode("acme", "e1")
    assert found is not None
    assert found.revision == 2
    assert [state.revision for state in store.revisions("acme", "e1")] == [2, 1]


def test_tenants_do_not_see_each_other(store: CommitStore) -> None:
    """The same id under another tenant is another episode."""
    put(store, EPISODE, episode(tenant="other", device="secret"))
    mine = store.episode("acme", "e1")
    assert mine == EPISODE
    assert [found.device for found in store.episodes("acme")] == ["pump-7"]
    assert store.episode("third", "e1") is None
    assert store.revisions("third", "e1") == []


def test_lists_come_by_id_in_pages_without_evidence(store: CommitStore) -> None:
    """A page goes on after the last id of the one before."""
    names = [f"e{number:02}" for number in range(25)]
    put(store, *(episode(id=name) for name in reversed(names)))
    first = store.episodes("acme", limit=10)
    assert first == [plain(episode(id=name)) for name in names[:10]]
    rest = store.episodes("acme", after_id=first[-1].id)
    assert [found.id for found in rest] == names[10:]


spans = st.tuples(st.integers(0, 50), st.none() | st.integers(0, 50), st.sampled_from(["a", "b"]))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(spans, max_size=12),
    device=st.none() | st.sampled_from(["a", "b"]),
    devices=st.lists(st.sampled_from(["a", "b", "none"]), unique=True),
    from_ms=st.none() | st.integers(0, 60),
    to_ms=st.none() | st.integers(0, 60),
)
def test_lists_select_by_device_and_overlap(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int | None, str]],
    device: str | None,
    devices: list[str],
    from_ms: int | None,
    to_ms: int | None,
) -> None:
    """An episode is listed when its span, open-ended while it lasts, touches the one asked for."""
    episodes = [
        episode(
            id=f"e{number:02}",
            device=name,
            started_ms=start,
            end_ms=None if length is None else start + length,
        )
        for number, (start, length, name) in enumerate(rows)
    ]
    expected = [
        plain(each)
        for each in episodes
        if (to_ms is None or each.started_ms <= to_ms)
        and (from_ms is None or each.end_ms is None or each.end_ms >= from_ms)
    ]
    for made in MAKERS:
        store = made(tmp_path_factory.mktemp("store")).open()
        put(store, *episodes)
        of_one = [each for each in expected if device is None or each.device == device]
        assert store.episodes("acme", device=device, from_ms=from_ms, to_ms=to_ms) == of_one
        of_some = [each for each in expected if each.device in devices]
        assert store.episodes("acme", devices=devices, from_ms=from_ms, to_ms=to_ms) == of_some
        assert store.episodes("acme", devices=devices, from_ms=from_ms, to_ms=to_ms, limit=2) == of_some[:2]
        store.close()


def test_partitions_commit_at_the_same_time(store: CommitStore) -> None:
    """Workers of different partitions share the store without losing each other's commits."""

    def work(partition: int) -> None:
        lease = store.acquire(partition)
        for step in range(20):
            found = episode(id=f"{partition}/{step}")
            store.commit([Commit(partition, lease.epoch, step, step + 1, Totals(), [found])])

    threads = [threading.Thread(target=work, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.positions() == dict.fromkeys(range(4), 20)
    assert len({row.sequence for row in store.outbox(0)}) == 80
