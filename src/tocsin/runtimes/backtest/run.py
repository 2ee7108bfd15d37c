"""Backtests: a file through the same processor, with corrections to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.clock import Clock
from tocsin.control import Settings
from tocsin.files import EventFile
from tocsin.inbox.abstract import Inbox
from tocsin.processing.state import digest_sums
from tocsin.runtimes.backtest.feed import Feed
from tocsin.runtimes.backtest.partition import PartitionRun
from tocsin.runtimes.backtest.results import Results, Summary
from tocsin.runtimes.backtest.verdicts import write_verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """`batch_rows` and `partitions` change nothing about the results."""

    out: Path
    settings: Settings
    tenant: str = "default"
    batch_rows: int = 50_000
    partitions: int = 1
    write_verdicts: bool = True


class Backtest:
    """One run: every partition, fed from one file."""

    def __init__(self, options: BacktestOptions) -> None:
        self.options: Final = options
        self.partitions: Final = [
            PartitionRun(partition, options.settings.detectors, options.write_verdicts)
            for partition in range(options.partitions)
        ]
        self._feed: Final = Feed(options.tenant, options.partitions)
        for record in self._feed.settings(options.settings):
            self.partitions[record.partition].apply(record)

    def feed(self, source: EventFile, progress: Callable[[int], None]) -> None:
        """Process a file to its end; `progress` gets the rows read so far."""
        for record in self._feed.file(source, self.options.batch_rows, progress):
            self.partitions[record.partition].apply(record)

    def correct(self) -> None:
        """Derive every device with late readings again."""
        for number, partition in enumerate(self.partitions):
            for correction in partition.corrections():
                partition.apply(self._feed.control(number, correction))

    def results(self) -> Results:
        """What came of it, over all partitions."""
        results = Results()
        for partition in self.partitions:
            results.episodes += partition.episodes
            for tenant in partition.state.tenants.values():
                results.counts.update(tenant.counts)
                for name, sums in digest_sums(tenant).items():
                    results.sums[name] += sums
        return results


def run_backtest(
    source: EventFile,
    options: BacktestOptions,
    inbox: Inbox,
    clock: Clock,
    progress: Callable[[int], None] = lambda rows: None,
) -> Summary:
    """Run a file through detection and write verdicts.parquet, anomalies.ndjson and summary.json.

    `inbox` must be empty; it folds the episodes. Memory grows with the number of readings (about 150
    bytes each), since corrections may need any of them.
    """
    started_s = clock.monotonic_s()
    options.out.mkdir(parents=True, exist_ok=True)
    backtest = Backtest(options)
    backtest.feed(source, progress)
    backtest.correct()
    results = backtest.results()
    if options.write_verdicts:
        verdicts = [partition.verdicts for partition in backtest.partitions if partition.verdicts]
        results.verdict_rows = write_verdicts(options.out / "verdicts.parquet", verdicts)
    return results.write(
        options.out, options.tenant, inbox, source.report.outcome(), clock.monotonic_s() - started_s
    )
