"""Results as files: whole or absent, of any size, and safe for spreadsheets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.lake_kit import NOW_MS, events, open_lake, record, result_of
from tocsin.errors import InvalidInputError
from tocsin.lake.delta import DeltaLake
from tocsin.lake.export import export, require_target, spilling
from tocsin.lake.query import query, whole_result
from tocsin.lake.room import QueryLimits, empty_room, open_rows


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[DeltaLake]:
    """An empty lake."""
    lake = open_lake(tmp_path / "lake")
    yield lake
    lake.close()


def test_exports(lake: DeltaLake, tmp_path: Path) -> None:
    """A result goes out as Parquet, NDJSON and CSV; in CSV, text that looks like a formula is defused."""
    cells = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "plain", "a=b"]
    lake.append([record(0, events([(cell, NOW_MS, {"t": -1.5}, "") for cell in cells]))])
    table = query(
        "SELECT device, readings, ts FROM events ORDER BY log_offset", lake=lake, log=None, tenant="acme"
    )
    for kind in ("parquet", "ndjson", "csv"):
        assert export(result_of(table), tmp_path / f"x.{kind}") == len(cells)
    assert pq.read_table(tmp_path / "x.parquet").column("device").to_pylist() == cells
    first = (tmp_path / "x.ndjson").read_text().splitlines()[0]
    assert first == '{"device":"=1+1","readings":{"t":-1.5},"ts":"2026-01-01T00:00:00+00:00"}'
    read = pa.csv.read_csv(tmp_path / "x.csv", parse_options=pa.csv.ParseOptions(newlines_in_values=True))
    assert read.column("device").to_pylist() == [f"'{cell}" for cell in cells[:6]] + cells[6:]
    assert read.column("readings").to_pylist()[0] == '{"t":-1.5}'


@pytest.mark.parametrize(
    ("name", "words"), [("x.xls", "ends in .xls"), ("x", "no ending"), ("no/x.csv", "folder")]
)
def test_unknown_targets(name: str, words: str, tmp_path: Path) -> None:
    """A file that can't be written is refused before any work, and the endings that can be are named."""
    with pytest.raises(InvalidInputError, match=words):
        require_target(tmp_path / name)


def test_a_failed_export_leaves_nothing(lake: DeltaLake, tmp_path: Path) -> None:
    """A query that fails in the middle leaves the older file as it was, and no other."""
    target = tmp_path / "x.csv"
    target.write_text("older")
    sql = "SELECT CASE WHEN i = 90000 THEN error('broken') ELSE i END FROM range(100000) t(i)"
    with (
        pytest.raises(InvalidInputError, match="broken"),
        spilling(target) as spill,
        whole_result(sql, lake=lake, log=None, tenant="acme", spill=spill) as rows,
    ):
        export(rows, target)
    assert target.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.csv"]


_LARGE = """
import resource, sys
from pathlib import Path
from tocsin.lake.export import export, spilling
from tocsin.lake.room import QueryLimits, empty_room, open_rows

limits, before = QueryLimits(memory_bytes=200_000_000), 0
for count in (1000, 400_000):
    sql = f"SELECT i, repeat('x', 1000) || i AS text FROM range({count}) t(i)"
    target = Path(sys.argv[1])
    with spilling(target) as spill, open_rows(empty_room(), sql, limits, spill) as rows:
        assert export(rows, target) == count
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    growth_mib, before = (after - before) >> 10, after
print(growth_mib)
"""


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_memory_of_an_export_is_bounded(kind: str, tmp_path: Path) -> None:
    """400 MB of rows pass through the 200 MB of the engine and little besides."""
    target = tmp_path / f"x.{kind}"
    done = subprocess.run([sys.executable, "-c", _LARGE, target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_what_does_not_fit_is_sorted_on_disk(tmp_path: Path) -> None:
    """A long sort takes room beside the file instead of memory, and gives it back."""
    target = tmp_path / "x.parquet"
    sql = "SELECT i, repeat('x', 100) || i AS text FROM range(2000000) t(i) ORDER BY hash(i)"
    limits = QueryLimits(memory_bytes=128_000_000)
    with spilling(target) as spill, open_rows(empty_room(), sql, limits, spill) as rows:
        assert any(spill.iterdir())
        assert export(rows, target) == 2_000_000
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
