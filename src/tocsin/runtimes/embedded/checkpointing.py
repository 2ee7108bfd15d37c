"""Rounds of checkpoints: the shards that changed, a few at a time, so that nobody waits for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from tocsin.commit.abstract import CheckpointStore, Chunk
from tocsin.errors import TocsinError
from tocsin.events import I64
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.runtimes.embedded.worker import UnstoredError, Worker

WRITE_BYTES: Final = 4 << 20
SNAPSHOT_BYTES: Final = 1 << 20


class Checkpointing:
    """Writes rounds for all partitions. `complete` is per partition the offset the last round covers."""

    def __init__(self, store: CheckpointStore, workers: Sequence[Worker]) -> None:
        self._store = store
        self._workers = workers
        self.complete: dict[int, int] = {}

    def round(self) -> int:
        """One round over all partitions; how many chunks it wrote. Blocks for the writes, not the workers."""
        return sum(self._round_of(worker) for worker in self._workers)

    def _round_of(self, worker: Worker) -> int:
        try:
            return self._keep(worker)
        except UnstoredError:
            return 0

    def _keep(self, worker: Worker) -> int:
        with worker.stored() as state:
            position = state.position
            # new settings touch every shard, but few may have devices, and none of another partition has
            shards = np.flatnonzero(state.touched & occupied(state))
            state.touched[:] = False
        if position == self.complete.get(worker.partition):
            return 0
        try:
            written = self._write(worker, shards, position)
        except TocsinError:
            with worker.lock:  # what was not written is still to be written
                worker.state.touched[shards] = True
            raise
        self.complete[worker.partition] = position
        return written

    def _write(self, worker: Worker, shards: I64, position: int) -> int:
        pending: list[Chunk] = []
        size = written = 0
        for chunks in _some_at_a_time(worker, shards):
            pending += chunks
            written += len(chunks)
            size += _size_bytes(chunks)
            if size >= WRITE_BYTES:
                self._store.write(pending)
                pending, size = [], 0
        with worker.stored() as state:
            header = snapshot_header(state, position)
        self._store.write([*pending, header])
        return written + 1


def _some_at_a_time(worker: Worker, shards: I64) -> Iterator[list[Chunk]]:
    """Chunks of these shards, so many at a time that the worker's lock is held for about a millisecond."""
    done, some = 0, 1
    while done < len(shards):
        with worker.stored() as state:
            chunks = snapshot_shards(state, shards[done : done + some])
        done += some
        some = some * 2 if _size_bytes(chunks) < SNAPSHOT_BYTES // 2 else max(some // 2, 1)
        yield chunks


def _size_bytes(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.payload) for chunk in chunks)
