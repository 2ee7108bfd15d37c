"""A backtest on Spark: staged records, one group a partition, the same function, the same digests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa

from tocsin.clock import Clock
from tocsin.files import EventFile
from tocsin.inbox.abstract import Inbox
from tocsin.runtimes.backtest.feed import Feed
from tocsin.runtimes.backtest.results import Summary
from tocsin.runtimes.backtest.run import BacktestOptions
from tocsin.runtimes.spark.executor import judge_partition
from tocsin.runtimes.spark.findings import FINDINGS, gather
from tocsin.runtimes.spark.staging import stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def run_on_spark(
    session: SparkSession,
    source: EventFile,
    options: BacktestOptions,
    inbox: Inbox,
    clock: Clock,
    progress: Callable[[int], None] = lambda rows: None,
) -> Summary:
    """As `run_backtest`, on Spark; verdicts.parquet is a folder with a file for each partition.

    The records are staged in `options.out`, which every executor must reach, and removed at the end.
    A partition is judged by one task that holds its readings in memory (about 150 bytes each): choose
    enough partitions.
    """
    started_s = clock.monotonic_s()
    options.out.mkdir(parents=True, exist_ok=True)
    feed = Feed(options.tenant, options.partitions)
    records = chain(feed.settings(options.settings), feed.file(source, options.batch_rows, progress))
    with TemporaryDirectory(prefix="staged-", dir=options.out) as folder:
        staged = Path(folder) / "records.parquet"
        stage(staged, records)
        findings = judged(session.read.parquet(str(staged)), options)
    results = gather(findings)
    return results.write(
        options.out, options.tenant, inbox, source.report.outcome(), clock.monotonic_s() - started_s
    )


def judged(records: DataFrame, options: BacktestOptions) -> pa.Table:
    """The findings on a table of log records, whose rows may come in any order and repeatedly."""
    folder = None
    if options.write_verdicts:
        folder = (options.out / "verdicts.parquet").absolute()
        _empty(folder)
    judge = judge_partition(options.settings.detectors, folder)
    schema = ", ".join(f"{name} {'binary' if name == 'payload' else 'string'}" for name in FINDINGS.names)
    return records.groupBy("partition").applyInArrow(judge, schema).toArrow()


def _empty(folder: Path) -> None:
    """A new folder in the place of whatever an earlier run has left."""
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
    folder.mkdir(parents=True)
