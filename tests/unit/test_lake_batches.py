"""Rows that come batch by batch become a file whose row groups are bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake_kit import NOW_MS
from tocsin.lake.files import FileWriter, Layout, write_batches
from tocsin.lake.schemas import CONTROL
from tocsin.lake.scripts import open_engine, read_batches


def batch(first: int, rows: int, payload_bytes: int) -> pa.RecordBatch:
    """Decisions at the offsets from `first` on."""
    columns = {
        "log_partition": [0] * rows,
        "log_offset": list(range(first, first + rows)),
        "arrival": [NOW_MS * 1000] * rows,
        "type": ["tick"] * rows,
        "payload": ["x" * payload_bytes] * rows,
    }
    return pa.RecordBatch.from_pydict(columns, schema=CONTROL.file_schema)


def written(folder: Path, batches: list[pa.RecordBatch], layout: Layout) -> tuple[pq.ParquetFile, int]:
    """The file, and how many rows its entry says that it has."""
    entry = write_batches(folder / "control", CONTROL, {"tenant": "acme"}, iter(batches), layout)
    return pq.ParquetFile(folder / "control" / entry.path), entry.rows


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=12),
    group_rows=st.integers(1, 20),
    group_bytes=st.integers(1, 4_000),
    payload_bytes=st.integers(0, 300),
)
def test_row_groups_end_with_the_batch_that_fills_them(
    sizes: list[int], group_rows: int, group_bytes: int, payload_bytes: int
) -> None:
    """By rows or by bytes; all rows are there, in order, and no row group is empty beside others."""
    starts = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    batches = [batch(first, last - first, payload_bytes) for first, last in pairwise(starts)]
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(row_group_rows=group_rows, row_group_bytes=group_bytes)
        file, rows = written(Path(folder), batches, layout)
        assert rows == sum(sizes)
        assert file.read(["log_offset"]).column(0).to_pylist() == list(range(sum(sizes)))
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        largest = max((len(each) for each in batches), default=0)
        assert all(size < group_rows + largest for size in groups)
        assert all(size * payload_bytes < group_bytes + largest * (payload_bytes + 100) for size in groups)


@pytest.mark.parametrize("batches", [[], [batch(0, 0, 0)]])
def test_no_rows_at_all_are_a_file_that_can_be_read(tmp_path: Path, batches: list[pa.RecordBatch]) -> None:
    """With the columns of the table."""
    file, rows = written(tmp_path, batches, Layout())
    assert (rows, file.schema_arrow.names) == (0, CONTROL.file_schema.names)


def test_a_full_row_group_is_written_before_more_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is held is bounded, however many rows there are."""
    genuine, added = FileWriter.add, list[int]()

    def add(writer: FileWriter, rows: pa.Table) -> None:
        added.append(rows.num_rows)
        genuine(writer, rows)

    def watched() -> Iterator[pa.RecordBatch]:
        for number in range(10):
            assert sum(added) == number // 3 * 3
            yield batch(number, 1, 0)

    monkeypatch.setattr(FileWriter, "add", add)
    write_batches(tmp_path, CONTROL, {"tenant": "acme"}, watched(), Layout(row_group_rows=3))
    assert added == [3, 3, 3, 1]


@pytest.mark.parametrize("place", [0, 50_000])
def test_what_the_engine_refuses_is_no_trouble_of_the_disk(tmp_path: Path, place: int) -> None:
    """Wherever in the rows it comes: a mistake of a query would be tried again and again."""
    sql = "SELECT CASE WHEN i = $place THEN error('refused') ELSE i END AS x FROM range(100000) t(i)"
    with open_engine(tmp_path, 64 << 20) as engine, pytest.raises(duckdb.Error, match="refused") as told:
        for _ in read_batches(engine, sql, {"place": place}):
            pass
    assert not isinstance(told.value, duckdb.IOException)
