"""A real backtest of a file, with all that it writes, and the model beside it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow.parquet as pq

from proof.compare import plain
from proof.compare.differences import apart
from proof.model import Expected, expected
from proof.model.inbox import Anomaly, in_time
from tocsin.clock import SystemClock
from tocsin.control import Settings
from tocsin.files import EventFile
from tocsin.inbox.abstract import Anomaly as ProductAnomaly
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.runtimes.backtest.feed import Feed
from tocsin.runtimes.backtest.run import BacktestOptions, run_backtest

VERDICTS = ("normal", "abnormal", "not_ready")
Opening = Callable[[], EventFile]
"""Opens the file anew; it is read twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the product runs; nothing of it may change a result."""

    batch_rows: int = 50_000
    partitions: int = 1


def compare_file(opening: Opening, settings: Settings, way: Way) -> tuple[list[str], Expected]:
    """What differs between what `tocsin backtest` writes and what the model expects, and the latter."""
    feed = Feed("default", 1)
    log = [*feed.settings(settings), *feed.file(opening(), 50_000, lambda rows: None)]
    model = expected(plain.records(log), correct_at_end=True)
    with TemporaryDirectory(prefix="tocsin-model-") as folder:
        out = Path(folder)
        inbox = EmbeddedInbox(out / "inbox.db")
        options = BacktestOptions(
            out=out, settings=settings, batch_rows=way.batch_rows, partitions=way.partitions
        )
        try:
            run_backtest(opening(), options, inbox, SystemClock())
        finally:
            inbox.close()
        return list(_differences(model, settings, out)), model


def _differences(model: Expected, settings: Settings, out: Path) -> Iterator[str]:
    summary = json.loads((out / "summary.json").read_bytes())
    anomalies = model.anomalies(in_time(model.episodes))
    yield from apart("summary", _summary(model, len(anomalies)), _read_summary(summary))
    with (out / "anomalies.ndjson").open("rb") as lines:
        found = [plain.anomaly(msgspec.json.decode(line, type=ProductAnomaly)) for line in lines]
    yield from apart("anomaly", _by_id(anomalies), _by_id(found))
    rows, told = _rows(model, list(settings.detectors)), _read_rows(out / "verdicts.parquet")
    yield from apart("verdict row", rows - told, told - rows)


def _summary(model: Expected, anomalies: int) -> dict[str, object]:
    (counts,) = model.counts.values()
    terms = {name: number for name, number in counts.items() if number}
    last = {episode.id: episode for episode in model.episodes}
    digests = {f"digest_{name}": digest for name, digest in model.digests.items()}
    valid = sum(not episode.retracted for episode in last.values())
    return {**terms, **digests, "episodes": valid, "anomalies": anomalies}


def _read_summary(summary: dict[str, Any]) -> dict[str, object]:
    terms = {name: number for name, number in summary["counts"].items() if number}
    names = ("digest_raw", "digest_scored", "digest_final", "episodes", "anomalies", "events")
    return {**terms, **{name: summary[name] for name in names}}


def _by_id(anomalies: list[Anomaly]) -> dict[str, Anomaly]:
    return {anomaly.id: anomaly for anomaly in anomalies}


def _rows(model: Expected, detectors: list[str]) -> Counter[tuple[object, ...]]:
    """The rows of verdicts.parquet, in no order; None stands for NaN and for what was not scored."""
    rows: Counter[tuple[object, ...]] = Counter()
    for place, reading in model.readings.items():
        for detector in detectors:
            verdict = model.final.get((place, detector))
            numbers: list[object] = [None] * 5
            if verdict is not None:
                score = verdict.score
                band = (score.score, score.expected, score.lower, score.upper)
                numbers = [None if math.isnan(number) else number for number in band]
                numbers.append(VERDICTS[score.verdict])
            whose = (reading.device, place[2], reading.ts, reading.value, detector)
            rows[*whose, *numbers, model.statuses[place]] += 1
    return rows


def _read_rows(path: Path) -> Counter[tuple[object, ...]]:
    table = pq.read_table(path)
    ts = table["ts"].cast("int64")
    columns = [ts if name == "ts" else table[name] for name in table.column_names]
    return Counter(zip(*(column.to_pylist() for column in columns), strict=True))
