"""Recovery: every partition from its last checkpoint and the log behind it, or from the beginning."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.commit.abstract import CheckpointStore
from tocsin.errors import CorruptError
from tocsin.observability.logging import get_logger
from tocsin.processing.chunks import header_shard, partition_of_chunk
from tocsin.processing.restoring import Restoration
from tocsin.runtimes.embedded.findings import findings_of
from tocsin.runtimes.embedded.scored import KeepOf
from tocsin.runtimes.embedded.worker import Worker
from tocsin.scores.abstract import AbnormalReadings

_log = get_logger("recovery")


def recover(
    workers: Sequence[Worker],
    checkpoints: CheckpointStore,
    findings: AbnormalReadings,
    keep_of: KeepOf | None = None,
) -> dict[int, int]:
    """Bring every worker to its committed position; per partition the offset its checkpoints cover.

    A partition with a damaged chunk, or with chunks of another version of the state, is built from the
    beginning of its records. Findings that a crash kept from the projection are added on the way.
    """
    restorations, complete = _restore(len(workers), checkpoints)
    reached = findings.positions()
    for worker in workers:
        after = reached.get(worker.partition, 0)
        for position, output in worker.recover(restorations.get(worker.partition)):
            if found := findings_of(worker.partition, position, output, keep_of, after):
                findings.append([found])
    return complete


def _restore(partitions: int, checkpoints: CheckpointStore) -> tuple[dict[int, Restoration], dict[int, int]]:
    """What the chunks give, by partition, without those that have to be built from the beginning."""
    damaged: set[int] = set()
    while True:
        restorations: dict[int, Restoration] = {}
        complete: dict[int, int] = {}
        try:
            for chunk in checkpoints.read():
                partition = partition_of_chunk(chunk.shard, partitions)
                if partition in damaged:
                    continue
                try:
                    restorations.setdefault(partition, Restoration(partition)).add(chunk)
                except CorruptError as error:
                    _give_up(partition, error, damaged)
                if chunk.shard == header_shard(partition):
                    complete[partition] = chunk.position
        except CorruptError as error:
            if error.field is None:  # the file itself, and not one chunk of it
                raise
            shard = int(error.field.removeprefix("shard "))
            checkpoints.discard(shard)
            _give_up(partition_of_chunk(shard, partitions), error, damaged)
            continue
        return (
            {number: found for number, found in restorations.items() if number not in damaged},
            {number: offset for number, offset in complete.items() if number not in damaged},
        )


def _give_up(partition: int, error: CorruptError, damaged: set[int]) -> None:
    _log.warning("rebuilding_state", partition=partition, reason=error.detail)
    damaged.add(partition)
