"""Files of fresh events, written without Arrow, are what Arrow would have written."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake_kit import NOW_MS, Row, events, record, steady
from tocsin.lake import pages
from tocsin.lake.columns import decoded, event_table, merge_records
from tocsin.lake.pages import event_file
from tocsin.lake.schemas import EVENTS
from tocsin.log.abstract import Record

VALUES = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.lists(
    st.tuples(
        NAMES,
        st.integers(-(2**53), 2**53),
        st.dictionaries(st.sampled_from(["t", "h", "", "é"]), VALUES, max_size=4),
        st.sampled_from(["", '{"a":1}', '{"b":"ü"}']),
    ),
    min_size=1,
    max_size=40,
)


def expected(
    parts: list[list[Row]], streams: list[tuple[str, str]], *, named: bool
) -> tuple[bytes, pa.Table]:
    """The file of these rows, and the table that it must hold."""
    records: list[Record] = []
    for rows in parts:
        offset = records[-1].next_offset if records else 7
        records.append(record(offset, events(rows, streams)))
    columns = merge_records("acme", records)
    return b"".join(event_file(columns, name_streams=named)), decoded(
        event_table(columns, name_streams=named), EVENTS.file_schema
    )


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(ROWS, min_size=1, max_size=3),
    streams=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=3),
    named=st.booleans(),
    page_rows=st.sampled_from([1, 3, 8, 1000]),
)
def test_file_holds_the_columns(
    parts: list[list[Row]], streams: list[tuple[str, str]], named: bool, page_rows: int
) -> None:
    """Whatever the events and the size of pages, Arrow reads the same rows and types as it would write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE_ROWS", page_rows)
        payload, table = expected(parts, streams, named=named)
    read = pq.read_table(io.BytesIO(payload))
    assert read.schema.equals(EVENTS.file_schema)
    assert read.equals(table)


def test_other_readers_agree(tmp_path: Path) -> None:
    """DuckDB and Polars read the same from a file with several pages, nulls, text and empty readings."""
    rows: list[Row] = [
        *steady(150_000, step_ms=7),
        ("x", NOW_MS, {}, '{"s":"on"}'),
        ("y", NOW_MS, {"q": 1.0}, ""),
    ]
    payload, table = expected([rows], [("a", "1")], named=False)
    path = tmp_path / "x.parquet"
    path.write_bytes(payload)
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        found = engine.read_parquet(str(path)).to_arrow_table()
    assert found.select(["device", "ts", "text", "log_offset", "id"]).equals(
        table.select(["device", "ts", "text", "log_offset", "id"]).cast(
            found.select(["device", "ts", "text", "log_offset", "id"]).schema
        )
    )
    assert found.column("readings").to_pylist()[-3:] == table.column("readings").to_pylist()[-3:]
    frame = pl.read_parquet(path)
    assert frame["device"].to_list() == table.column("device").to_pylist()
    assert frame["log_offset"].sum() == sum(range(7, 7 + len(rows)))


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1, max_size=300))
def test_deltas_keep_any_integers(values: list[int]) -> None:
    """Steps that overflow 64 bits wrap around and come back."""
    schema = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    column = pages._integers("x", np.array(values), pages._INT64)
    payload = b"".join(pages._file([column], len(values)))
    assert pq.read_table(io.BytesIO(payload)).equals(pa.table({"x": values}, schema=schema))
