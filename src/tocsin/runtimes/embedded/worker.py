"""One partition at work: its state, its lease, and the step from log records to a commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from tocsin import threads
from tocsin.commit.abstract import Commit, CommitStore, DumpKind, FreedDump, Lease
from tocsin.control import Correct, FeedbackGiven, Settings, decode_control
from tocsin.errors import BackpressureError, CorruptError
from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.processing.controls import Applied
from tocsin.processing.processor import History, Output, process
from tocsin.processing.restoring import Restoration
from tocsin.processing.state import PartitionState

STEP_BYTES_MAX: Final = 8 << 20
LAKE_STEP_OFFSETS: Final = 200_000


class UnstoredError(Exception):
    """What a step gave was not stored, and won't be: a restart takes that step again, from what was."""


class Worker:
    """Owns the state of one partition. `lock` is held while the state changes and until that is committed.

    So whoever holds the lock sees a state that equals what is committed, unless a stop or an error came
    between: see `stored`.
    """

    def __init__(self, partition: int, log: Log, lake: Lake, commits: CommitStore, history: History) -> None:
        self.partition = partition
        self.lock = threads.lock()
        self._unstored = False
        self.state = PartitionState(partition)
        self._log = log
        self._lake = lake
        self._commits = commits
        self._history = history
        self.lease: Lease = commits.acquire(partition)
        self.settings: Mapping[str, Settings] = {}
        """Those in force, by tenant: never older than what is committed, and no lock is needed."""

    def recover(self, restoration: Restoration | None) -> Iterator[tuple[int, Output]]:
        """From the last checkpoint, replay the log behind it up to the committed position.

        Without one the state is built from the partition's first record, which may be in the lake alone.

        What the replay puts out was committed before; it is given, with the position after it, to
        projections that may lag. The state is complete once the iterator has ended.
        Raises CorruptError when the sums do not come out as they were committed.
        """
        state, below = (restoration or Restoration(self.partition)).finish()
        state.position = int(below.min())
        applied = Applied(below)
        while state.position < self.lease.position:
            records = self._records(state.position)
            if not records:
                break  # the log is shorter than what was committed: the check below says so
            for step in _steps(records):
                output = process(step, state, self._history, applied)
                yield state.position, output
        for name, counts in self.lease.totals.counts.items():
            state.tenant(name).counts = Counter(counts)
        _check(state, self.lease)
        self.state = state
        self.settings = state.settings()

    def _records(self, position: int) -> list[Record]:
        """The next committed records, from the log, or from the lake where the log has been trimmed."""
        if position < self._log.begin(self.partition):
            last = min(position + LAKE_STEP_OFFSETS, self._log.begin(self.partition))
            return self._lake.records(self.partition, position, last)
        records = self._log.read(self.partition, position, bytes_max=STEP_BYTES_MAX)
        return [record for record in records if record.offset < self.lease.position]

    def step(self) -> tuple[Commit, Output] | None:
        """Process what the log has beyond the position, None if there is nothing; the caller commits it.

        Must be called with the lock held, and the lock be kept until `keep`.
        """
        waiting = self._log.read(self.partition, self.state.position, bytes_max=STEP_BYTES_MAX)
        records = next(_steps(waiting), None)
        if records is None:
            return None
        previous = self.state.position
        self._unstored = True
        output = process(records, self.state, self._history)
        self.settings = self.state.settings()
        commit = Commit(
            partition=self.partition,
            epoch=self.lease.epoch,
            previous=previous,
            position=self.state.position,
            totals=self.state.totals(),
            episodes=tuple(output.episodes),
            dumps=tuple(_freed(output)),
            released=tuple(output.released),
        )
        return commit, output

    def keep(self) -> None:
        """All that the last step gave is stored; called with the lock held since that step."""
        self._unstored = False

    @contextmanager
    def stored(self) -> Iterator[PartitionState]:
        """The lock, with the state that a checkpoint may have; UnstoredError if there is none any more."""
        with self.lock:
            if self._unstored:
                raise UnstoredError
            yield self.state

    @contextmanager
    def seen(self, patience_s: float) -> Iterator[PartitionState]:
        """The lock, for somebody's question; BackpressureError after `patience_s`, -1 = never.

        A step holds the lock until it is stored, so on a full disk it is held until there is room.
        """
        if not self.lock.acquire(timeout=patience_s):
            raise BackpressureError("The processor is busy, or waits for the disk.", retry_after_s=10)
        try:
            yield self.state
        finally:
            self.lock.release()

    def committed(self, commit: Commit) -> None:
        """Note that the commit is durable."""
        self.lease = replace(self.lease, position=commit.position, totals=commit.totals)


def _steps(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Each up to the next correction, which gives much: the whole past of many devices, judged anew."""
    start = 0
    for end, record in enumerate(records, 1):
        if _corrects(record):
            yield records[start:end]
            start = end
    if start < len(records):
        yield records[start:]


def _corrects(record: Record) -> bool:
    """Whether it has devices judged anew; feedback may."""
    return record.kind is RecordKind.CONTROL and isinstance(
        decode_control(record.payload), Correct | FeedbackGiven
    )


def _freed(output: Output) -> Iterator[FreedDump]:
    """The dumps that these records have set free, in order."""
    for moved in output.dumps:
        ready = DumpKind.READY if moved.watched else DumpKind.UNWATCHED
        after_gap = DumpKind.AFTER_GAP if moved.watched else DumpKind.UNWATCHED
        yield from (FreedDump(ready, dump) for dump in moved.ready)
        yield from (FreedDump(after_gap, dump) for dump in moved.after_gap)


def _check(state: PartitionState, lease: Lease) -> None:
    """The pair of the assertion made at every commit: recovery must arrive at the same sums."""
    if state.position > lease.position:
        raise CorruptError(
            f"partition {state.partition}: commit.db knows of {lease.position} records, but checkpoints.db "
            f"holds a state of {state.position}: commit.db was deleted, or is an older copy; put back one "
            "that is as new as the other files of the folder"
        )
    if state.position < lease.position:
        raise CorruptError(
            f"partition {state.partition}: the log ends at {state.position}, "
            f"but {lease.position} was committed: records are missing that were acknowledged; put back a log "
            "that is as new as the other files of the folder"
        )
    found, committed = state.totals(), lease.totals
    for name in ("raw", "scored", "final"):
        if getattr(found, name) != getattr(committed, name):
            raise CorruptError(
                f"partition {state.partition}: recovery gives another {name} digest than was committed"
            )
