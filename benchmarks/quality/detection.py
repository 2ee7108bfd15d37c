"""Files through the product's own backtest, with its default settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from tocsin.control import Settings
from tocsin.files.mapping import Mapping
from tocsin.files.opening import open_events
from tocsin.model import Episode
from tocsin.runtimes.backtest.run import Backtest, BacktestOptions
from tocsin.runtimes.backtest.verdicts import write_verdicts

SERIES = Mapping(device_column="series", time_column="ts", parameters=("value",))


def episodes_of(path: Path, mapping: Mapping) -> list[Episode]:
    """The episodes of a file after all corrections, the newest revision of each."""
    with TemporaryDirectory() as folder:
        return _last(_run(path, mapping, Path(folder), verdicts=False))


@contextmanager
def detected(path: Path, mapping: Mapping) -> Iterator[tuple[list[Episode], pl.LazyFrame]]:
    """The same with the table of verdicts, while the context lasts."""
    with TemporaryDirectory() as folder:
        backtest = _run(path, mapping, Path(folder), verdicts=True)
        table = Path(folder) / "verdicts.parquet"
        write_verdicts(table, [run.verdicts for run in backtest.partitions if run.verdicts])
        yield _last(backtest), pl.scan_parquet(table)


def _run(path: Path, mapping: Mapping, out: Path, *, verdicts: bool) -> Backtest:
    backtest = Backtest(BacktestOptions(out=out, settings=Settings(), write_verdicts=verdicts))
    backtest.feed(open_events(path, mapping), lambda _: None)
    backtest.correct()
    return backtest


def _last(backtest: Backtest) -> list[Episode]:
    """Of each episode what it ended as; episodes of a whole device (silence, clock) are not counted here."""
    newest = {episode.id: episode for run in backtest.partitions for episode in run.episodes}
    return [episode for episode in newest.values() if episode.parameter and not episode.retracted]
