"""Rounds of checkpoints: the shards that changed, a few at a time, so that nobody waits for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tocsin.commit.abstract import CheckpointStore, Chunk
from tocsin.errors import TocsinError
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shard
from tocsin.runtimes.embedded.worker import Worker

WRITE_BYTES: Final = 4 << 20


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
        with worker.lock:
            position = worker.state.position
            # new settings touch every shard, but few may have devices, and none of another partition has
            shards = np.flatnonzero(worker.state.touched & occupied(worker.state)).tolist()
            worker.state.touched[:] = False
        if position == self.complete.get(worker.partition):
            return 0
        try:
            self._write(worker, shards, position)
        except TocsinError:
            with worker.lock:  # what was not written is still to be written
                worker.state.touched[shards] = True
            raise
        self.complete[worker.partition] = position
        return len(shards) + 1

    def _write(self, worker: Worker, shards: list[int], position: int) -> None:
        pending: list[Chunk] = []
        size = 0
        for shard in shards:
            with worker.lock:
                chunk = snapshot_shard(worker.state, shard)
            if chunk is None:
                continue
            pending.append(chunk)
            size += len(chunk.payload)
            if size >= WRITE_BYTES:
                self._store.write(pending)
                pending, size = [], 0
        with worker.lock:
            header = snapshot_header(worker.state, position)
        self._store.write([*pending, header])
