"""The same processor on Spark: nothing of the embedded runtime has leaked into the heart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tocsin.control import Settings
from tocsin.files import open_events
from tocsin.files.mapping import Mapping
from tocsin.runtimes.backtest.feed import Feed
from tocsin.runtimes.backtest.results import Results
from tocsin.runtimes.backtest.run import Backtest, BacktestOptions
from tocsin.runtimes.spark.findings import gather
from tocsin.runtimes.spark.run import judged
from tocsin.runtimes.spark.session import spark_session
from tocsin.runtimes.spark.staging import stage
from tocsin.testing import COMMAND

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.services, pytest.mark.long]

EVENTS = 100_000
PARTITIONS = 6


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Over 100,000 events with every fault of the simulator: late, doubled and reordered ones too."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.ndjson"
    size = ["--stations", "40", "--days", "9", "--interval-s", "300", "--faults", "all"]
    often = ["--faults-per-month", "20", "--fault-free-days", "3", "--seed", "3"]
    subprocess.run([COMMAND, "simulate", *size, *often, "--out", str(file)], check=True, capture_output=True)
    return file


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    with spark_session("local[2]") as session:
        yield session


def run(out: Path, fleet: Path, *options: str) -> dict[str, Any]:
    """The summary of `tocsin backtest` with these options."""
    command = [str(COMMAND), "backtest", str(fleet), "--out", str(out), "--json", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def encoded(results: Results) -> list[bytes]:
    """All states of all episodes, as bytes, since a NaN equals nothing."""
    return sorted(msgspec.msgpack.encode(episode) for episode in results.episodes)


def test_spark_gives_the_digests_of_the_embedded_runtime(fleet: Path, tmp_path: Path) -> None:
    """One command, two runtimes: counts, digests, anomalies and every verdict are equal."""
    here = run(tmp_path / "here", fleet)
    there = run(tmp_path / "there", fleet, "--runtime", "spark", "--partitions", str(PARTITIONS))
    assert here["events"] > EVENTS
    assert min(here["counts"][name] for name in ("late", "duplicate")) > 0
    different = {name for name in here if here[name] != there[name]} - {"seconds", "out", "counts"}
    assert different == set()
    batches = {"corrections"}  # how many decisions the devices were corrected by depends on the partitions
    assert {name: here["counts"][name] for name in here["counts"] if name not in batches} == {
        name: there["counts"][name] for name in there["counts"] if name not in batches
    }
    anomalies = [(tmp_path / name / "anomalies.ndjson").read_text() for name in ("here", "there")]
    assert anomalies[0] == anomalies[1]
    key = ["device", "parameter", "detector", "ts", "status", "value", "verdict"]
    verdicts = [
        pl.read_parquet(tmp_path / name / "verdicts.parquet").cast({pl.Categorical: pl.String}).sort(key)
        for name in ("here", "there")
    ]
    assert_frame_equal(*verdicts)


def test_rows_that_come_in_any_order_and_twice_change_nothing(
    session: SparkSession, fleet: Path, tmp_path: Path
) -> None:
    """Nothing orders the rows of a group, and a read that is tried again may repeat some."""
    from pyspark.sql.functions import rand

    options = BacktestOptions(
        out=tmp_path, settings=Settings(), partitions=PARTITIONS, batch_rows=500, write_verdicts=False
    )
    feed = Feed(options.tenant, PARTITIONS)
    settings = list(feed.settings(options.settings))
    staged = tmp_path / "records.parquet"
    stage(staged, [*settings, *feed.file(open_events(fleet, Mapping()), 500, lambda _: None)])
    records = session.read.parquet(str(staged))
    repeated = records.unionByName(records.sample(0.2, seed=1)).orderBy(rand(seed=2))
    found = gather(judged(repeated, options))

    backtest = Backtest(options)
    backtest.feed(open_events(fleet, Mapping()), lambda _: None)
    backtest.correct()
    expected = backtest.results()
    assert found.counts == expected.counts
    assert {name: sorted(sums) for name, sums in found.sums.items()} == {
        name: sorted(sums) for name, sums in expected.sums.items()
    }
    assert encoded(found) == encoded(expected)
