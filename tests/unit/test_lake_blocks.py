"""However an append is cut into blocks and row groups, the lake holds the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake_kit import DAY_MS, NOW_MS, Row, events, open_lake, record, steady
from tocsin.lake.columns import decoded, event_table
from tocsin.lake.event_files import EventFiles
from tocsin.lake.feed import Feed
from tocsin.lake.files import FRESH, FileWriter
from tocsin.lake.hours import HourColumns, HourSums
from tocsin.lake.schemas import EVENTS
from tocsin.lake.store import LakeStore
from tocsin.log.abstract import Record

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", "pump/7"]),
        st.integers(NOW_MS - 2 * DAY_MS, NOW_MS) | st.sampled_from([-1, NOW_MS + 3 * DAY_MS, 2**53]),
        st.dictionaries(st.sampled_from(["t", "h", "é"]), st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from(["", '{"state":"on"}']),
    ),
    min_size=1,
    max_size=12,
)
STREAMS = st.sampled_from([[("pumps", "1.0")], [("pumps", "1.0"), ("", "2"), ("x" * 200, "1")]])


def records_of(parts: list[list[Row]], streams: list[tuple[str, str]]) -> list[Record]:
    """One record a part, one after another in the log."""
    made: list[Record] = []
    for rows in parts:
        made.append(record(made[-1].next_offset if made else 0, events(rows, streams)))
    return made


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with their times as numbers, since stamps may lie beyond Python's calendar."""
    for name in ("ts", "arrival"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def expected(records: list[Record]) -> list[dict[str, Any]]:
    """The rows with their true stream, by offset."""
    whole = Feed("acme", records).whole()
    return plain(decoded(event_table(whole, name_streams=True), EVENTS.file_schema))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeStore]:
    """A folder for files: each has a name of its own, and none is committed."""
    lake = open_lake(tmp_path_factory.mktemp("files") / "lake")
    yield lake.store
    lake.close()


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(ROWS, min_size=1, max_size=4),
    streams=STREAMS,
    block_rows=st.integers(1, 40),
    group_rows=st.integers(1, 40),
)
def test_files_hold_every_row_once(
    store: LakeStore,
    parts: list[list[Row]],
    streams: list[tuple[str, str]],
    block_rows: int,
    group_rows: int,
) -> None:
    """Reading all files of an append gives the rows of its records, and ranges say what is in each file."""
    records = records_of(parts, streams)
    feed = Feed("acme", records, block_rows=block_rows)
    with EventFiles(store, feed, row_group_rows=group_rows) as files:
        for block in feed.blocks:
            files.add(block)
        written = files.finish()
    found = []
    for entry in written:
        path = store.folder / EVENTS.name / entry.path
        rows = plain(pq.ParquetFile(path).read().cast(EVENTS.file_schema))
        assert entry.rows == len(rows)
        devices = [row["device"] for row in rows]
        assert entry.ranges["device"] == (min(devices), max(devices))
        stream = (entry.partition["application"], entry.partition["version"])
        for row in rows:
            if entry.partition["date"] != "1970-01-01":
                row["sent_application"], row["sent_version"] = stream
        found += rows
    assert sorted(found, key=lambda row: row["log_offset"]) == expected(records)


def by_key(feed: Feed, hours: HourColumns) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Count, least and greatest of each key, added up over the rows that have it."""
    found: dict[tuple[str, ...], tuple[float, ...]] = {}
    for at in range(len(hours.count)):
        device, name = feed.devices[int(hours.device[at])], feed.names[hours.parameter[at]]
        key = (hours.application[hours.application_of[at]], device, name, str(hours.hour_ms[at]))
        count, least, greatest = found.get(key, (0, hours.min[at], hours.max[at]))
        found[key] = (
            count + hours.count[at],
            min(least, hours.min[at]),
            max(greatest, hours.max[at]),
        )
    return found


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(ROWS, min_size=1, max_size=4), streams=STREAMS, block_rows=st.integers(1, 40))
def test_hours_are_the_same_in_blocks(
    parts: list[list[Row]], streams: list[tuple[str, str]], block_rows: int
) -> None:
    """Aggregates count every reading once, whether slots are counted out or numbered block by block."""
    feed = Feed("acme", records_of(parts, streams), block_rows=block_rows)
    whole, blocks = HourSums(feed), HourSums(feed)
    whole.add(feed.whole())
    for block in feed.blocks:
        blocks.add(block)
    assert by_key(feed, blocks.result()) == by_key(feed, whole.result())
    assert whole.result().count.sum() == feed.readings


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    """Leaving without `finish`, as an append does that fails, leaves no file and no temporary one."""
    feed = Feed("acme", [record(0, events(steady(20)))])
    partition = {"tenant": "acme", "application": "pumps", "version": "1.0", "date": "2026-01-01"}
    with FileWriter(tmp_path, EVENTS, partition, FRESH) as writer:
        writer.add(event_table(feed.whole(), name_streams=False))
        assert [path.suffix for path in tmp_path.rglob("part-*")] == [".tmp"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
