"""Backtests: a file through the same processor, with corrections to the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tocsin.clock import Clock
from tocsin.commit.abstract import OutboxRow
from tocsin.control import Correct, Settings, SettingsChanged
from tocsin.files import EventFile
from tocsin.inbox.abstract import AnomalyQuery, Inbox
from tocsin.ingest.stamping import stamp
from tocsin.log.abstract import Record
from tocsin.model import Episode, SeriesKey
from tocsin.processing.hashing import combine
from tocsin.processing.processor import Output, process
from tocsin.processing.state import PartitionState, digest_sums
from tocsin.runtimes.backtest.feed import Feed, arrival_of
from tocsin.runtimes.backtest.past import Past
from tocsin.runtimes.backtest.verdicts import PartitionVerdicts, write_verdicts

DEVICES_PER_CORRECTION: Final = 20


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest found; counts by the conservation law."""

    events: int
    counts: dict[str, int]
    digest_raw: str
    digest_scored: str
    digest_final: str
    episodes: int
    anomalies: int
    verdict_rows: int
    rows: dict[str, int]
    seconds: float


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
    """One run: the states of all partitions, and what came of them."""

    def __init__(self, options: BacktestOptions) -> None:
        self.options: Final = options
        self.states: Final = [PartitionState(partition) for partition in range(options.partitions)]
        self.episodes: Final[list[Episode]] = []
        self.verdicts: Final = [PartitionVerdicts(options.settings.detectors) for _ in self.states]
        self._past: Final = [Past() for _ in self.states]
        self._feed: Final = Feed(options.tenant, options.partitions)
        change = SettingsChanged(tenant=options.tenant, effective_ms=0, settings=options.settings)
        for state in self.states:
            self._apply(self._feed.control(state.partition, change))

    def feed(self, source: EventFile, progress: Callable[[int], None]) -> None:
        """Process a file to its end; `progress` gets the rows read so far."""
        for chunk in source.chunks(self.options.batch_rows):
            batch, _ = stamp(chunk.batch, chunk.arrival_ms)
            for record in self._feed.events(batch, arrival_of(chunk.arrival_ms)):
                self._apply(record)
            progress(source.report.rows)

    def correct(self) -> None:
        """Derive every device with late readings again."""
        for state in self.states:
            for tenant in list(state.tenants.values()):
                dirty = tenant.dirty_devices()
                for first in range(0, len(dirty), DEVICES_PER_CORRECTION):
                    named = tuple(dirty[first : first + DEVICES_PER_CORRECTION])
                    record = Correct(tenant=tenant.tenant, devices=named)
                    self._apply(self._feed.control(state.partition, record))

    def digests(self) -> dict[str, str]:
        """The three digests over all series."""
        sums: dict[str, list[tuple[SeriesKey, int]]] = {"raw": [], "scored": [], "final": []}
        for state in self.states:
            for tenant in state.tenants.values():
                for name, found in digest_sums(tenant).items():
                    sums[name] += found
        return {name: combine(found) for name, found in sums.items()}

    def counts(self) -> Counter[str]:
        """The terms of the conservation law over all partitions."""
        total: Counter[str] = Counter()
        for state in self.states:
            for tenant in state.tenants.values():
                total.update(tenant.counts)
        return total

    def _apply(self, record: Record) -> Output:
        partition = record.partition
        output = process([record], self.states[partition], self._past[partition])
        self._past[partition].add(output.judged)
        self.episodes.extend(output.episodes)
        if self.options.write_verdicts:
            self.verdicts[partition].add(output.judged)
            for correction in output.corrections:
                self.verdicts[partition].correct(correction.judged)
        return output


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
    rows = (
        write_verdicts(options.out / "verdicts.parquet", backtest.verdicts) if options.write_verdicts else 0
    )
    anomalies = _write_anomalies(options, backtest.episodes, inbox)
    counts, digests = backtest.counts(), backtest.digests()
    summary = Summary(
        events=counts.pop("events", 0),
        counts=dict(sorted(counts.items())),
        digest_raw=digests["raw"],
        digest_scored=digests["scored"],
        digest_final=digests["final"],
        episodes=len({episode.id for episode in backtest.episodes if not episode.retracted}),
        anomalies=anomalies,
        verdict_rows=rows,
        rows={"read": source.report.rows, "empty": source.report.empty, **source.report.refused},
        seconds=round(clock.monotonic_s() - started_s, 3),
    )
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    (options.out / "summary.json").write_bytes(text + b"\n")
    return summary


def _write_anomalies(options: BacktestOptions, episodes: Iterable[Episode], inbox: Inbox) -> int:
    """Fold the episodes in the order of their time and write one anomaly a line, oldest first."""
    ordered = sorted(episodes, key=_moment)
    rows = [OutboxRow(sequence, episode) for sequence, episode in enumerate(ordered, 1)]
    inbox.fold(rows, now_ms=max((_moment(episode)[0] for episode in ordered), default=0))
    written, before = [], None
    while page := inbox.anomalies(AnomalyQuery(options.tenant, before_sequence=before, limit=200)):
        written += page
        before = page[-1].updated_sequence
    written.sort(key=lambda anomaly: (anomaly.started_ms, anomaly.id))
    with (options.out / "anomalies.ndjson").open("wb") as stream:
        stream.writelines(msgspec.json.encode(anomaly) + b"\n" for anomaly in written)
    return len(written)


def _moment(episode: Episode) -> tuple[int, str, int]:
    """When a state of an episode came about, in the time of the data."""
    return (episode.end_ms or max(episode.opened_ms, episode.last_abnormal_ms), episode.id, episode.revision)
