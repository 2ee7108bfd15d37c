"""Where rows lie: partitions, their bound, the overflow, and names that no path may take as they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake_kit import DAY_MS, NOW_MS, Row, events, open_lake, record, rows_of, steady
from tocsin.lake.compaction import SETTLE_ROWS_MIN, CompactionPolicy, compact
from tocsin.lake.grouping import GROUPS_MAX, OVERFLOW, group_rows
from tocsin.lake.names import directory_of
from tocsin.lake.query import query

YEAR_2000_MS = 946_684_800_000

HOSTILE = [
    "../../etc",
    "a/b\\c",
    ".",
    "..",
    "a=b&c",
    "\x01\x1f\n",
    "日本 é",
    "%2F",
    "'; DROP",
    "x" * 256,
    "__HIVE_DEFAULT_PARTITION__",
    "",
]


def days_of(folder: Path) -> set[str]:
    """The dates that directories name."""
    return {path.name.removeprefix("date=") for path in (folder / "events").rglob("date=*")}


@pytest.mark.parametrize(
    ("ts", "day"),
    [
        (YEAR_2000_MS, "2000-01-01"),
        (YEAR_2000_MS - 1, "1970-01-01"),
        (NOW_MS + DAY_MS, "2026-01-02"),
        (NOW_MS + DAY_MS + 1, "1970-01-01"),
        (2**53, "1970-01-01"),
        (-(2**53), "1970-01-01"),
    ],
)
def test_implausible_stamps_overflow(tmp_path: Path, ts: int, day: str) -> None:
    """Stamps before 2000 or more than a day after arrival name no partition, and come back unchanged."""
    lake = open_lake(tmp_path / "lake")
    lake.append([record(0, events([("a", ts, {"t": 1.0}, "")]))])
    assert days_of(tmp_path / "lake") == {day}
    found = lake.device_events("acme", "a", partition=0, before_offset=1)
    assert rows_of(found.batch) == [("a", ts, {"t": 1.0}, "")]
    lake.close()


def test_one_append_makes_a_bounded_number_of_files(tmp_path: Path) -> None:
    """A request with a day and a version of its own for each event makes at most the bound of files."""
    rows: list[Row] = [("a", NOW_MS - at * DAY_MS, {"t": float(at)}, "") for at in range(1000)]
    lake = open_lake(tmp_path / "lake")
    lake.append([record(0, events(rows, [("app", str(number)) for number in range(500)]))])
    for files in lake.snapshot().files.values():
        assert len(files) <= GROUPS_MAX + 1
    found = lake.device_events("acme", "a", partition=0, before_offset=1000)
    assert rows_of(found.batch) == rows
    versions = query("SELECT DISTINCT version FROM events", lake=lake, log=None, tenant="acme")
    assert len(versions) == 500
    lake.close()


@given(keys=st.lists(st.integers(-1, 9) | st.integers(-1, 2**60)), groups_max=st.integers(1, 5))
def test_groups_partition_the_rows(keys: list[int], groups_max: int) -> None:
    """Every row is in exactly one group, in row order; own groups are the largest, at most the bound."""
    groups = list(group_rows(np.array(keys, np.int64), groups_max))
    rows = [range(len(keys)) if group.rows is None else group.rows.tolist() for group in groups]
    assert sorted(at for part in rows for at in part) == list(range(len(keys)))
    assert all(list(part) == sorted(part) for part in rows)
    own = [(group.key, part) for group, part in zip(groups, rows, strict=True) if group.key != OVERFLOW]
    assert len(own) <= groups_max
    sizes = Counter(key for key in keys if key != OVERFLOW)
    for key, part in own:
        assert {keys[at] for at in part} == {key}
        assert len(part) == sizes[key]
    if own:
        smallest = min(len(part) for _, part in own)
        assert all(sizes[key] <= smallest for key in sizes.keys() - {key for key, _ in own})


@settings(max_examples=200)
@given(tenant=st.text(max_size=256))
def test_directories_are_safe_whatever_the_name(tenant: str) -> None:
    """A name gives one directory below the table, short enough for every file system, and no other's."""
    try:
        tenant.encode()
    except UnicodeEncodeError:
        return
    directory = directory_of({"tenant": tenant})
    assert directory.isascii()
    assert directory.isprintable()
    assert not set(directory) & set("/\\ :*?\"<>|'")
    assert len(directory) < 200
    assert directory != directory_of({"tenant": tenant + "."})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_back(tmp_path: Path, name: str) -> None:
    """Tenant, application and version of any spelling are stored below the lake and read back as sent."""
    lake = open_lake(tmp_path / "lake")
    lake.append([record(0, events(steady(3), [(name, name)]), tenant=name)])
    lake.close()
    assert {path.name for path in tmp_path.iterdir()} == {"lake"}
    lake = open_lake(tmp_path / "lake")
    found = query(
        "SELECT DISTINCT tenant, application, version FROM events", lake=lake, log=None, tenant=name
    )
    assert found.to_pylist() == [{"tenant": name, "application": name, "version": name}]
    assert lake.device_events(name, "d1", partition=0, before_offset=9).batch.streams == ((name, name),)
    lake.close()


def test_compaction_settles_the_overflow(tmp_path: Path) -> None:
    """Rows that overflowed only for the bound move to the partitions they name; implausible ones stay."""
    days = GROUPS_MAX + 2
    spread: list[Row] = [
        ("a", NOW_MS - at % days * DAY_MS, {"t": 0.5}, "") for at in range(days * SETTLE_ROWS_MIN)
    ]
    lake = open_lake(tmp_path / "lake")
    lake.append([record(0, events(spread))])
    lake.append([record(len(spread), events([("a", 0, {"t": 1.0}, "")]))])
    assert len(days_of(tmp_path / "lake")) == GROUPS_MAX + 1
    list(compact(lake.store, CompactionPolicy(files_min=2)))
    overflow = [entry for entry in lake.snapshot().files["events"] if entry.partition["date"] == "1970-01-01"]
    assert [entry.rows for entry in overflow] == [1]
    counts = query(
        "SELECT date, application, count(*) AS n FROM events GROUP BY ALL", lake=lake, log=None, tenant="acme"
    )
    assert len(counts) == days + 1
    assert set(counts.column("n").to_pylist()) == {SETTLE_ROWS_MIN, 1}
    lake.close()
