"""One partition at work: its state, its lease, and the step from log records to a commit."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tocsin.commit.abstract import Chunk, Commit, CommitStore, Lease
from tocsin.errors import CorruptError
from tocsin.log.abstract import Log
from tocsin.processing.controls import Applied
from tocsin.processing.processor import History, Output, process
from tocsin.processing.snapshots import restore
from tocsin.processing.state import PartitionState

STEP_BYTES_MAX: Final = 8 << 20


class Worker:
    """Owns the state of one partition. `lock` is held while the state changes and until that is committed.

    So whoever holds the lock sees a state that equals what is committed.
    """

    def __init__(self, partition: int, log: Log, commits: CommitStore, history: History) -> None:
        self.partition = partition
        self.lock = threading.Lock()
        self.state = PartitionState(partition)
        self._log = log
        self._commits = commits
        self._history = history
        self.lease: Lease = commits.acquire(partition)

    def recover(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, Output]]:
        """Restore the last checkpoint and replay the log behind it up to the committed position.

        What the replay puts out was committed before; it is given, with the position after it, to
        projections that may lag. The state is complete once the iterator has ended.
        Raises CorruptError when the sums do not come out as they were committed.
        """
        state, below = restore(self.partition, list(chunks))
        state.position = max(int(below.min()), self._log.begin(self.partition))
        applied = Applied(np.maximum(below, state.position))
        while state.position < self.lease.position:
            records = self._log.read(self.partition, state.position, bytes_max=STEP_BYTES_MAX)
            records = [record for record in records if record.offset < self.lease.position]
            if not records:
                break  # the log is shorter than what was committed: the check below says so
            output = process(records, state, self._history, applied)
            yield state.position, output
        for name, counts in self.lease.totals.counts.items():
            state.tenant(name).counts = Counter(counts)
        _check(state, self.lease)
        self.state = state

    def step(self) -> tuple[Commit, Output] | None:
        """Process what the log has beyond the position, None if there is nothing; the caller commits it.

        Must be called with the lock held, and the lock be kept until `committed`.
        """
        records = self._log.read(self.partition, self.state.position, bytes_max=STEP_BYTES_MAX)
        if not records:
            return None
        previous = self.state.position
        output = process(records, self.state, self._history)
        commit = Commit(
            partition=self.partition,
            epoch=self.lease.epoch,
            previous=previous,
            position=self.state.position,
            totals=self.state.totals(),
            episodes=tuple(output.episodes),
        )
        return commit, output

    def committed(self, commit: Commit) -> None:
        """Note that the commit is durable."""
        self.lease = replace(self.lease, position=commit.position, totals=commit.totals)


def _check(state: PartitionState, lease: Lease) -> None:
    """The pair of the assertion made at every commit: recovery must arrive at the same sums."""
    if state.position != lease.position:
        raise CorruptError(
            f"partition {state.partition}: the log ends at {state.position}, "
            f"but {lease.position} was committed"
        )
    found, committed = state.totals(), lease.totals
    for name in ("raw", "scored", "final"):
        if getattr(found, name) != getattr(committed, name):
            raise CorruptError(
                f"partition {state.partition}: recovery gives another {name} digest than was committed"
            )
