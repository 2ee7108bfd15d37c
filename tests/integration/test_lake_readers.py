"""Other engines read the lake's tables as plain Delta tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.lake_kit import NOW_MS, events, open_lake, record, steady
from tocsin.lake.compaction import CompactionPolicy, compact

STREAMS = [("pumps", "1.0"), ("fans/ä b", ""), ("x" * 200, "2")]


@pytest.fixture(params=["fresh", "compacted"])
def table(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The events table of a lake with three appends."""
    lake = open_lake(tmp_path / "lake")
    for number in range(3):
        lake.append([record(number * 30, events(steady(30), STREAMS), tenant="a/b")])
    if request.param == "compacted":
        list(compact(lake.store, CompactionPolicy(files_min=2)))
    lake.close()
    return tmp_path / "lake" / "events"


def test_polars_reads_the_table(table: Path) -> None:
    """Polars sees all rows with partition values and types."""
    frame = pl.read_delta(str(table)).sort("log_offset")
    assert frame["log_offset"].to_list() == list(range(90))
    assert frame["tenant"].unique().to_list() == ["a/b"]
    assert set(frame["application"].unique().to_list()) == {"pumps", "fans/ä b", None}
    assert set(frame["sent_application"].unique().to_list()) == {None, "x" * 200}
    assert frame["ts"].dt.epoch("ms")[0] == NOW_MS


def test_arrow_and_delta_rs_read_the_table(table: Path) -> None:
    """delta-rs hands the rows to Arrow, and its statistics prune by device and time."""
    delta = DeltaTable(table)
    rows = delta.to_pyarrow_table()
    assert rows.num_rows == 90
    assert dict(rows.sort_by("log_offset").column("readings")[5].as_py()) == {"t": 1.25, "h": -0.625}
    actions = pa.table(delta.get_add_actions(flatten=True))
    assert sum(actions.column("num_records").to_pylist()) == 90
    assert {"d0", "d1", "d2"} >= set(actions.column("min.device").to_pylist())
    assert min(actions.column("min.ts").to_pylist()).timestamp() * 1000 == NOW_MS
    assert pl.scan_delta(str(table)).filter(pl.col("device") == "d1").collect().height == 30
