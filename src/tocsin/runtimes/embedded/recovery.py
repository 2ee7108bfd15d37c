"""Recovery: every partition from its last checkpoint and the log behind it."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.commit.abstract import CheckpointStore, Chunk
from tocsin.processing.snapshots import header_shard
from tocsin.runtimes.embedded.findings import findings_of
from tocsin.runtimes.embedded.worker import Worker
from tocsin.scores.abstract import AbnormalReadings
from tocsin.sharding import SHARDS, partition_of


def recover(
    workers: Sequence[Worker], checkpoints: CheckpointStore, findings: AbnormalReadings
) -> dict[int, int]:
    """Bring every worker to its committed position; per partition the offset its checkpoints cover.

    Abnormal readings that a crash kept from the projection are added to it on the way.
    """
    chunks: dict[int, list[Chunk]] = {worker.partition: [] for worker in workers}
    for chunk in checkpoints.read():
        shard = chunk.shard
        partition = partition_of(shard, len(workers)) if shard < SHARDS else shard - SHARDS
        chunks[partition].append(chunk)
    for worker in workers:
        for position, output in worker.recover(chunks[worker.partition]):
            found = findings_of(worker.partition, position, output)
            if found.readings or found.corrected:
                findings.append([found])
    return {
        worker.partition: chunk.position
        for worker in workers
        for chunk in chunks[worker.partition]
        if chunk.shard == header_shard(worker.partition)
    }
