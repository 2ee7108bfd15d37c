"""What runs on an executor: the records of one partition, in order, through the same `process()`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa

from tocsin.control import encode_control
from tocsin.log.abstract import Record, RecordKind
from tocsin.runtimes.backtest.partition import PartitionRun
from tocsin.runtimes.backtest.verdicts import write_verdicts
from tocsin.runtimes.spark.findings import findings_of
from tocsin.runtimes.spark.staging import records_of


def judge_partition(
    detectors: Collection[str], verdicts_folder: Path | None
) -> Callable[[pa.Table], pa.Table]:
    """A function from a partition's records, in any order, to its findings.

    Verdicts go to a file a partition in `verdicts_folder`, which every executor must reach; None = nowhere.
    A task that is run again writes the same file again.
    """
    names = tuple(detectors)

    def judge(table: pa.Table) -> pa.Table:
        records = records_of(table)
        run = PartitionRun(records[0].partition, names, verdicts_folder is not None)
        for record in records:
            run.apply(record)
        _correct(run, records[-1])
        rows = 0
        if verdicts_folder is not None and run.verdicts is not None:
            rows = write_verdicts(verdicts_folder / f"part-{run.state.partition:05}.parquet", [run.verdicts])
        return findings_of(run, rows)

    return judge


def _correct(run: PartitionRun, last: Record) -> None:
    """Derive every device with late readings again, as if the log went on with these decisions."""
    for offset, correction in enumerate(run.corrections(), last.next_offset):
        payload = encode_control(correction)
        run.apply(Record(last.partition, offset, 1, RecordKind.CONTROL, correction.tenant, 0, payload))
