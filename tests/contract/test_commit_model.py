"""Any order of taking over, committing, pruning, checkpointing and restarting equals a simple model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.commit_kit import EPISODE, episode, freed, plain
from tests.power_kit import memory_folder
from tocsin.commit.abstract import Chunk, Commit, DumpKind, FreedDump, Lease, Totals
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import FencedError
from tocsin.model import Episode

TENANTS = ("acme", "other")
NAMES = ("e1", "e2", "e3")

episodes = st.builds(
    episode,
    tenant=st.sampled_from(TENANTS),
    id=st.sampled_from(NAMES),
    revision=st.integers(0, 3),
    end_ms=st.none() | st.integers(1_000, 5_000),
    retracted=st.booleans(),
    evidence=st.sampled_from([None, EPISODE.evidence]),
)
totals = st.builds(Totals, counts=st.dictionaries(st.sampled_from(TENANTS), st.just({"scored": 1})))


dumps = st.builds(freed, st.integers(1, 5), st.sampled_from(DumpKind))


class CommitModel(RuleBasedStateMachine):
    """The model: a lease per partition, one list of published states, a dict of chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = memory_folder()
        self.current: dict[int, Lease] = {}
        self.held: list[Lease] = []  # those of former holders too
        self.published: list[Episode] = []
        self.sequences: list[int] = []
        self.pruned = 0
        self.freed: dict[int, list[FreedDump]] = {}
        self.chunks: dict[int, Chunk] = {}
        self.reading: Iterator[Chunk] | None = None
        self.unread: list[int] = []
        self.open()

    def open(self) -> None:
        folder = Path(self.folder.name)
        self.store = EmbeddedCommitStore(folder / "commit.db")
        self.checkpoints = EmbeddedCheckpointStore(folder / "checkpoints.db")

    def close(self) -> None:
        self.reading = None
        self.store.close()
        self.checkpoints.close()

    @rule(partition=st.sampled_from([0, 0, 1]), times=st.integers(1, 2))
    def acquire(self, partition: int, times: int) -> None:
        """Each holder fences off the one before."""
        for _ in range(times):
            lease = self.store.acquire(partition)
            before = self.current.get(partition, Lease(partition, 0, 0, Totals()))
            assert lease == Lease(partition, before.epoch + 1, before.position, before.totals)
            self.current[partition] = lease
            self.held.append(lease)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        steps=st.lists(
            st.tuples(st.integers(0, 9), totals, st.lists(episodes, max_size=3), st.lists(dumps, max_size=3)),
            min_size=1,
            max_size=3,
        ),
        off=st.sampled_from([0, 0, 0, -1, 1]),
    )
    def commit(
        self,
        data: st.DataObject,
        steps: list[tuple[int, Totals, list[Episode], list[FreedDump]]],
        off: int,
    ) -> None:
        """By one holder or several, current or fenced off, from its position or another."""
        after, commits, fenced = dict(self.current), [], False
        for step, sums, states, free in steps:
            holder = data.draw(st.sampled_from(self.held))
            lease = after[holder.partition]
            previous = lease.position + off
            commits.append(
                Commit(holder.partition, holder.epoch, previous, previous + step, sums, states, free)
            )
            fenced = fenced or off != 0 or holder.epoch != lease.epoch
            after[holder.partition] = Lease(lease.partition, lease.epoch, previous + step, sums)
        if fenced:
            with pytest.raises(FencedError):
                self.store.commit(commits)
            return
        self.store.commit(commits)
        self.current = after
        self.published += [state for commit in commits for state in commit.episodes]
        for commit in commits:
            # what nobody watches is dealt with at once
            ready = [each for each in commit.dumps if each.kind is not DumpKind.UNWATCHED]
            self.freed.setdefault(commit.partition, []).extend(ready)
        self.sequences += [row.sequence for row in self.store.outbox(max(self.sequences, default=0))]
        assert len(self.sequences) == len(self.published)

    @precondition(lambda self: self.current)
    @rule(states=st.lists(episodes, max_size=2), data=st.data())
    def commit_what_cannot_be_kept(self, states: list[Episode], data: st.DataObject) -> None:
        """It fails in the middle: nothing of it has happened."""
        lease = data.draw(st.sampled_from(list(self.current.values())))
        broken = [*states, episode(explanation="no text: \ud800")]
        with pytest.raises(UnicodeEncodeError):
            self.store.commit(
                [Commit(lease.partition, lease.epoch, lease.position, lease.position + 1, Totals(), broken)]
            )

    @rule(share=st.floats(0, 1))
    def prune(self, share: float) -> None:
        count = round(share * len(self.sequences))
        through = self.sequences[count - 1] if count else 0
        self.store.prune_outbox(through)
        self.pruned = max(self.pruned, through)

    @rule(
        written=st.lists(
            st.builds(Chunk, st.integers(-2, 6), st.integers(0, 99), st.binary(max_size=40)), max_size=4
        )
    )
    def checkpoint(self, written: list[Chunk]) -> None:
        self.checkpoints.write(written)
        self.chunks |= {chunk.shard: chunk for chunk in written}

    @rule(shard=st.integers(-2, 6))
    def discard(self, shard: int) -> None:
        self.checkpoints.discard(shard)
        self.chunks.pop(shard, None)

    @rule()
    def begin_to_read(self) -> None:
        """A slow reader sees the shards that there were, each as it is when its turn comes."""
        self.reading = self.checkpoints.read()
        self.unread = sorted(self.chunks)
        self.read_on()

    @precondition(lambda self: self.reading is not None)
    @rule()
    def read_on(self) -> None:
        assert self.reading is not None
        while self.unread and self.unread[0] not in self.chunks:
            self.unread.pop(0)
        expected = self.chunks[self.unread.pop(0)] if self.unread else None
        assert next(self.reading, None) == expected
        if expected is None:
            self.reading = None

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    @invariant()
    def positions_agree(self) -> None:
        assert self.store.positions() == {number: lease.position for number, lease in self.current.items()}

    @invariant()
    def ready_dumps_agree(self) -> None:
        for partition in (0, 1):
            found = self.store.ready_dumps(partition)
            assert [item.freed for item in found] == self.freed.get(partition, [])

    @invariant()
    def the_outbox_agrees(self) -> None:
        waiting = [
            (sequence, plain(state))
            for sequence, state in zip(self.sequences, self.published, strict=True)
            if sequence > self.pruned
        ]
        assert [(row.sequence, row.episode) for row in self.store.outbox(0)] == waiting
        assert self.store.waiting(0) == len(waiting)
        assert self.sequences == sorted(set(self.sequences))

    @invariant()
    def episodes_agree(self) -> None:
        for tenant in TENANTS:
            newest: dict[str, Episode] = {}
            for state in self.published:
                if state.tenant == tenant:
                    known = newest.get(state.id, state)
                    newest[state.id] = state if state.revision >= known.revision else known
            assert self.store.episodes(tenant) == [plain(newest[name]) for name in sorted(newest)]
            for name in NAMES:
                assert self.store.episode(tenant, name) == newest.get(name)
                states = [state for state in self.published if (state.tenant, state.id) == (tenant, name)]
                assert self.store.revisions(tenant, name) == states

    @invariant()
    def chunks_agree(self) -> None:
        assert list(self.checkpoints.read()) == [self.chunks[shard] for shard in sorted(self.chunks)]

    def teardown(self) -> None:
        assert self.store.verify() == []
        assert self.checkpoints.verify() == []
        self.close()
        self.folder.cleanup()


TestCommitModel = CommitModel.TestCase
TestCommitModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
