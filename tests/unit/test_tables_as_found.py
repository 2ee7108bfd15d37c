"""Tables as spreadsheets and other programs leave them: left out, warned of, or told with a remedy."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tocsin.errors import InvalidInputError
from tocsin.files import EventFile, Mapping, open_events

NOON_MS = 1_700_049_600_000  # 2023-11-15T12:00:00Z


def opened(path: Path, frame: pl.DataFrame) -> EventFile:
    """The frame as a file, opened."""
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return open_events(path, Mapping())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_of_the_same_device_and_time_are_warned_of_where_they_are_many(
    tmp_path: Path, suffix: str
) -> None:
    """A date whose time of day stands in another column; single repeats are what files have."""
    days = [f"2023-11-{day:02}" for day in range(1, 11)]
    frame = pl.DataFrame({"device": ["a", "b"] * 50, "ts": days * 10, "v": [*range(100)]})
    (warning,) = opened(tmp_path / f"x{suffix}", frame).warnings
    assert warning.startswith("90 of the first 100 rows have 'device' and 'ts' of a row before")
    assert opened(tmp_path / f"y{suffix}", frame.head(60)).warnings == []


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    """Many programs write the number of the row so; a server refuses every event with a nameless field."""
    path = tmp_path / "x.csv"
    path.write_text(f",device,ts,v\n0,a,{NOON_MS},20.5\n1,a,{NOON_MS + 1},20.6\n")
    file = open_events(path, Mapping())
    (chunk,) = file.chunks(100)
    assert (chunk.batch.names, chunk.batch.value.tolist()) == (("v",), [20.5, 20.6])
    assert file.describe().endswith("parameters: v; left out: the column without a name")


@pytest.mark.parametrize("header", ["device;ts;v;state", "ts;v;state"])
def test_blank_rows_are_no_mistake(tmp_path: Path, header: str) -> None:
    """Spreadsheets leave them below the last row, and between parts; a row with any cell is one."""
    cells = header.count(";")
    path = tmp_path / "x.csv"
    row = {3: f"a;{NOON_MS};20,5;on", 2: f"{NOON_MS};20,5;on"}[cells]
    half = {3: "a;;21;", 2: ";21;"}[cells]
    path.write_text("\n".join([header, row, ";" * cells, half, *[";" * cells] * 3]) + "\n")
    file = open_events(path, Mapping())
    assert sum(len(chunk.batch) for chunk in file.chunks(100)) == 1
    assert file.report.outcome() == {"read": 6, "empty": 4, "time_invalid": 1}
    assert file.report.examples == {"time_invalid": [2]}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.xlsx", b"PK", "x.xlsx is a spreadsheet: save its sheet as CSV"),
        ("x.csv", b"", "x.csv is empty"),
        ("x.csv", b"sep=;\r\ndevice;ts;v\r\n", "the first line, 'sep=;', is for spreadsheets alone"),
        ("a b.csv", b"sep=;\r\ndevice;ts;v\r\n", r"tail -n \+2 'a b.csv' > table.csv"),
    ],
)
def test_what_a_spreadsheet_leaves_is_told_with_what_to_do(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    """A sheet itself, a file without a line, and a first line that no table has."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match=told):
        open_events(tmp_path / name, Mapping())


def test_a_table_without_numbers_says_what_its_columns_have_instead(tmp_path: Path) -> None:
    """The first cell mostly shows what is to be done, such as to name the decimal sign."""
    path = tmp_path / "x.csv"
    path.write_text(f',device,ts,v,on\n0,a,{NOON_MS},"1,234",yes\n')
    with pytest.raises(InvalidInputError) as refused:
        open_events(path, Mapping(exclude=("on",)))
    told = 'no numeric column to read; there are , device, ts, v (text, first "1,234" in line 2), on'
    assert refused.value.detail == told
    frame = pl.DataFrame({"device": ["a"], "ts": [NOON_MS], "v": ["20.5"]})
    with pytest.raises(InvalidInputError, match=r"there are device, ts, v \(text\)$"):
        opened(tmp_path / "x.parquet", frame)
