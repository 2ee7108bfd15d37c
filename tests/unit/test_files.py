"""Tables as events: mapping, time, what is refused, and that cutting changes nothing."""

from __future__ import annotations

import gzip
import io
import json
import shlex
from datetime import date
from datetime import time as dt_time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import InvalidInputError
from tocsin.events import EventBatch
from tocsin.files import Chunk, EventFile, Mapping, open_events
from tocsin.files.mapping import STEP_START_MS, Columns
from tocsin.files.rows import RowConverter
from tocsin.files.times import parse_time, to_milliseconds

Row = tuple[str, int, dict[str, float], str]
"""Device, stamp, readings by name, text."""

NOTHING: Row = ("", 0, {}, "")

NOON_MS = 1_700_049_600_000  # 2023-11-15T12:00:00Z


def read(path: Path, batch_rows: int = 100, **mapping: Any) -> tuple[EventFile, list[Row], list[Chunk]]:
    """The opened file after reading all of it, and its events."""
    file = open_events(path, Mapping(**mapping))
    chunks = list(file.chunks(batch_rows))
    return file, [row for chunk in chunks for row in rows_of(chunk.batch)], chunks


def rows_of(batch: EventBatch) -> list[Row]:
    """Each event of a batch."""
    bounds = batch.reading_offsets.tolist()
    return [
        (
            batch.device[row],
            int(batch.ts[row]),
            {
                batch.names[batch.parameter[k]]: float(batch.value[k])
                for k in range(bounds[row], bounds[row + 1])
            },
            batch.text[row],
        )
        for row in range(len(batch))
    ]


def write(path: Path, frame: pl.DataFrame) -> Path:
    """The frame in the format of the name."""
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_ndjson(path)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
def test_all_formats_give_the_same_events(tmp_path: Path, suffix: str) -> None:
    """A table means the same whatever it is written in; absent values are absent, not zero."""
    frame = pl.DataFrame(
        {
            "device": ["a", "b", "a"],
            "ts": [NOON_MS, NOON_MS + 1, NOON_MS + 60_000],
            "t": [20.1, None, -3.0],
            "h": [5, 6, None],
        }
    )
    file, rows, chunks = read(write(tmp_path / f"x{suffix}", frame))
    assert rows == [
        ("a", NOON_MS, {"t": 20.1, "h": 5.0}, ""),
        ("b", NOON_MS + 1, {"h": 6.0}, ""),
        ("a", NOON_MS + 60_000, {"t": -3.0}, ""),
    ]
    assert chunks[0].row.tolist() == [0, 1, 2]
    assert chunks[0].arrival_ms.tolist() == [NOON_MS, NOON_MS + 1, NOON_MS + 60_000]
    assert (file.report.rows, file.report.events, file.report.readings) == (3, 3, 4)


CELLS = st.sampled_from(
    ["1", "2.5", "-0.0", "1e3", None, "nan", "inf", "junk", "9007199254740993", "0x10", "-1e42"]
)
TIMES = st.sampled_from(
    [
        "2023-11-15T12:00:00Z",
        "2023-11-15 12:00:00",
        "2023-11-15T06:00:00-06:00",
        "2023-11-15T12:00:00.1239",
        "1700049600000",
        None,
        "yesterday",
        "2023-02-30T00:00:00Z",
    ]
)
DEVICES = st.sampled_from(["a", "b", None, "x" * 257])


@given(rows=st.lists(st.tuples(DEVICES, TIMES, CELLS, CELLS), min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_what_becomes_of_a_row_of_text_depends_on_that_row_alone(
    rows: list[tuple[str | None, str | None, str | None, str | None]],
) -> None:
    """A row converted among others gives the event or refusal that it gives by itself."""
    kinds = {"device": None, "ts": None, "t": pa.float64(), "h": pa.int64()}
    columns = Columns(device="device", time="ts", arrival=None, parameters=("t", "h"))
    block = pa.record_batch(
        [pa.array(column, pa.string()) for column in zip(*rows, strict=True)], list(kinds)
    )

    def converted(part: pa.RecordBatch) -> list[tuple[Row, str]]:
        batch, _, refusals = RowConverter(Mapping(), columns, kinds, "file", {"ts": "ms"}).convert(part)
        code = {int(row): code for code, found in refusals.by_code().items() for row in found}
        return [
            (event, "") if row not in code else (NOTHING, code[row])
            for row, event in enumerate(rows_of(batch))
        ]

    assert converted(block) == [converted(block.slice(row, 1))[0] for row in range(len(block))]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("inf", "number_not_finite"),
        ("junk", "not_a_number"),
        ("9007199254740993", "number_out_of_range"),
    ],
)
def test_values_that_can_not_be_kept_exactly_refuse_their_row(tmp_path: Path, cell: str, code: str) -> None:
    """The row is counted under its reason with its number, and the others are read."""
    good = "a,2023-11-15T12:00:00Z,1.5\n"
    (tmp_path / "x.csv").write_text(
        "device,ts,t\n" + good * 60_000 + f"a,2023-11-15T12:00:00Z,{cell}\n" + good
    )
    file, rows, _ = read(tmp_path / "x.csv", 70_000)
    assert file.report.refused == {code: 1}
    assert file.report.examples == {code: [60_000]}
    assert len(rows) == 60_001


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_integers_beyond_two_to_the_53_are_refused_not_rounded(tmp_path: Path, kind: pa.DataType) -> None:
    """The largest exact integer is read, the next one is not."""
    values = pa.array([2**53, 2**53 + 1], kind)
    pq.write_table(pa.table({"ts": pa.array([1, 2]), "v": values}), tmp_path / "x.parquet")
    file, rows, _ = read(tmp_path / "x.parquet")
    assert [row[2] for row in rows] == [{"v": 2.0**53}]
    assert file.report.refused == {"number_out_of_range": 1}


@pytest.mark.parametrize(
    ("column", "options"),
    [
        (pl.Series([NOON_MS // 1000]), {"time_unit": "s"}),
        (pl.Series([NOON_MS]), {}),
        (pl.Series([NOON_MS * 1000 + 999]), {"time_unit": "us"}),
        (pl.Series([NOON_MS / 1000]), {"time_unit": "s"}),
        (pl.Series(["2023-11-15T12:00:00.000999"]).str.to_datetime(), {}),
        (pl.Series(["2023-11-15T12:00:00"]).str.to_datetime().dt.cast_time_unit("ns"), {}),
        (pl.Series(["2023-11-15T13:00:00"]).str.to_datetime().dt.replace_time_zone("Europe/Berlin"), {}),
        (pl.Series(["2023-11-15 12:00"]), {}),
        (pl.Series(["2023-11-15T06:00:00-06:00"]), {}),
    ],
)
def test_times_of_every_kind_are_milliseconds_of_utc(
    tmp_path: Path, column: pl.Series, options: dict[str, Any]
) -> None:
    """Naive stamps are UTC, finer ones are cut off, numbers have the unit asked for."""
    frame = pl.DataFrame({"when": column, "v": [1.0]})
    _, rows, _ = read(write(tmp_path / "x.parquet", frame), time_column="when", **options)
    assert [row[1] for row in rows] == [NOON_MS]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
@pytest.mark.parametrize("name", ["device_id", "DeviceID", "device name", "devices", "dev_eui", "deviceNo"])
def test_a_column_of_devices_by_another_name_is_not_passed_over(
    tmp_path: Path, suffix: str, name: str
) -> None:
    """Or all devices would be mixed into one, of the file's name. What to say instead is told."""
    frame = pl.DataFrame({name: ["a", "b"], "ts": [NOON_MS, NOON_MS], "v": [1.0, 2.0]})
    path = write(tmp_path / f"x{suffix}", frame)
    said = shlex.quote(name)  # so that it can be copied into a shell
    with pytest.raises(InvalidInputError, match=f"say --device-column {said}, or --exclude {said} if"):
        read(path)
    assert {row[0] for row in read(path, device_column=name)[1]} == {"a", "b"}
    assert {row[0] for row in read(path, exclude=(name,))[1]} == {"x"}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
def test_a_number_of_devices_that_is_named_as_a_parameter_is_one(tmp_path: Path, suffix: str) -> None:
    """A hub counts those that it has; who says so need not leave the count out."""
    path = write(tmp_path / f"x{suffix}", pl.DataFrame({"ts": [NOON_MS], "devices": [7]}))
    assert read(path, parameters=("devices",))[1] == [("x", NOON_MS, {"devices": 7.0}, "")]


@pytest.mark.parametrize("name", ["device_temperature", "devious", "undevice_id"])
def test_a_parameter_with_a_name_like_it_is_a_parameter(tmp_path: Path, name: str) -> None:
    """It does not say that it is a device's name or number."""
    frame = pl.DataFrame({"ts": [NOON_MS], name: [1.0]})
    assert read(write(tmp_path / "x.csv", frame))[1] == [("x", NOON_MS, {name: 1.0}, "")]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_times_that_come_again_in_a_file_of_one_device_are_warned_of(tmp_path: Path, suffix: str) -> None:
    """It may be of several, by a column whose name does not say so; two devices have the same times."""
    frame = pl.DataFrame({"pump": ["a", "b"] * 3, "ts": [NOON_MS + n // 2 for n in range(6)], "v": 1.0})
    path = write(tmp_path / f"x{suffix}", frame)
    (warning,) = read(path)[0].warnings
    assert warning.startswith("3 of the first 6 times in 'ts' are there already")
    assert warning.endswith("say --device-column")
    assert read(path, device_column="pump")[0].warnings == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
@pytest.mark.parametrize(("unit", "per_s"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_tell_their_unit_by_their_size(tmp_path: Path, suffix: str, unit: str, per_s: int) -> None:
    """Seconds of this century are no milliseconds of it; what was found is told with the first time."""
    stamps = [0, *(NOON_MS // 1000 * per_s + n * per_s for n in range(20))]  # a clock that was not set yet
    frame = pl.DataFrame({"device": "a", "ts": stamps, "got": stamps, "v": 1.0})
    file, rows, chunks = read(write(tmp_path / f"x{suffix}", frame), arrival_column="got")
    assert [row[1] for row in rows] == [0, *(NOON_MS + n * 1000 for n in range(20))]
    assert np.concatenate([chunk.arrival_ms for chunk in chunks]).tolist() == [row[1] for row in rows]
    assert file.warnings == []
    assert len(file.notes) == (0 if unit == "ms" else 2)
    assert all("the first is 1970-01-01T00:00:00Z" in note for note in file.notes)


def test_the_least_number_is_no_time(tmp_path: Path) -> None:
    """Some write it where a time is missing, and as seconds it must not become 1970."""
    frame = pl.DataFrame({"device": "a", "ts": [-(2**63), NOON_MS // 1000], "v": 1.0})
    file, rows, _ = read(write(tmp_path / "x.parquet", frame), time_unit="s")
    assert [row[1] for row in rows] == [NOON_MS]
    assert file.report.refused == {"time_invalid": 1}


def test_lines_that_need_no_renaming_tell_their_unit_too(tmp_path: Path) -> None:
    """Events as they are, but in seconds, are read as seconds and keep their other fields."""
    (tmp_path / "x.ndjson").write_text(f'{{"device":"a","ts":{NOON_MS // 1000},"v":1,"state":"on"}}\n')
    file, rows, _ = read(tmp_path / "x.ndjson")
    assert rows == [("a", NOON_MS, {"v": 1.0}, '{"state":"on"}')]
    assert "size of seconds" in file.notes[0]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
@pytest.mark.parametrize(
    ("stamp", "options", "where"),
    [
        (NOON_MS // 1000, {"time_unit": "ms"}, "before 2000 (the first is 1970-01-20T16:14:09Z)"),
        (7, {}, "before 2000"),
        (20_231_115_120_000, {}, "after 2099"),
    ],
)
def test_times_that_can_hardly_be_meant_are_warned_of(
    tmp_path: Path, suffix: str, stamp: int, options: dict[str, Any], where: str
) -> None:
    """What was asked for is done, but not in silence; a few such times are nothing to speak of."""
    frame = pl.DataFrame({"device": "a", "ts": [stamp] * 20, "v": 1.0})
    file, rows, _ = read(write(tmp_path / f"x{suffix}", frame), **options)
    assert (len(rows), len(file.warnings)) == (20, 1)
    assert f"20 of the first 20 times in 'ts' lie {where}" in file.warnings[0]
    mixed = pl.DataFrame({"device": "a", "ts": [stamp] * 5 + [NOON_MS] * 5, "v": 1.0})
    assert read(write(tmp_path / f"y{suffix}", mixed), **options)[0].warnings == []


EXPORT = """Device;Timestamp;Temperatur;Druck, innen;Schalter
p1;15.11.2023 12:00:00;20,5;1;an
p1;15.11.2023 12:01;-3,25;2;aus
p2;5.1.2024, 9:00;0,5;1.000;an
p2;16.11.2023;1,5E2;3;an
"""


def test_a_european_export_is_read_as_it_is(tmp_path: Path) -> None:
    """Semicolons, decimal commas, day.month.year and capitals; a point in a number makes it none."""
    (tmp_path / "x.csv").write_text("\ufeff" + EXPORT.replace("\n", "\r\n"))
    file, rows, _ = read(tmp_path / "x.csv")
    minute = NOON_MS + 60_000
    assert [row[:3] for row in rows] == [
        ("p1", NOON_MS, {"Temperatur": 20.5, "Druck, innen": 1.0}),
        ("p1", minute, {"Temperatur": -3.25, "Druck, innen": 2.0}),
        ("p2", NOON_MS + 12 * 3_600_000, {"Temperatur": 150.0, "Druck, innen": 3.0}),
    ]
    assert file.report.refused == {"not_a_number": 1}
    assert file.describe().startswith("device: Device; time: Timestamp; parameters: Temperatur, Druck, innen")
    dialect, times = file.notes
    assert dialect == "cells are parted by semicolons and numbers have decimal commas"
    assert "'15.11.2023 12:00:00' are read as UTC: the first is 2023-11-15T12:00:00Z" in times


@pytest.mark.parametrize(
    ("text", "options", "field", "remedy"),
    [
        ("a,b;c,d\n", {}, "delimiter", "--delimiter"),
        ("ts;t\n1;1,234\n2;2,500\n", {}, "decimal", "'t' may be thousands or have decimals; say --decimal ,"),
        (
            "ts;t;u\n1;1,23;1.5\n",
            {},
            "decimal",
            "1,23 in column 't' has a decimal comma and 1.5 in column 'u'",
        ),
        ("ts;Ts2;t\n1;2;3\n", {"time_column": "TS"}, "time_column", "no column 'TS'"),
        ("Device,DEVICE,ts,t\n1,1,1,1\n", {}, "device_column", "Device or DEVICE"),
        (
            "ts,t\n07/08/2023 9:05 PM,1\n",
            {},
            "time_format",
            "--time-format '%d/%m/%Y %I:%M %p' or --time-format '%m/%d/%Y %I:%M %p'",
        ),
        ("ts,t\n07-08-23 09:05:01.5,1\n", {}, "time_format", "'%d-%m-%y %H:%M:%S.%f' or "),
        ("ts,t\nyesterday,1\n", {}, "time_column", "the first is 'yesterday': name another column"),
        (
            "ts,t\n2023-11-15,1\n",
            {"time_format": "%d.%m.%Y"},
            "time_format",
            "has not the --time-format given",
        ),
        ("ts,t\n1,1\n", {"time_format": "%H:%M"}, "time_format", "must hold year, month and day"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_the_option_to_give(
    tmp_path: Path, text: str, options: dict[str, Any], field: str, remedy: str
) -> None:
    """A wrong guess would be stored as if it had been measured."""
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InvalidInputError) as refused:
        read(tmp_path / "x.csv", **options)
    assert remedy in refused.value.detail
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("ts;t\n1;1,234\n", {"decimal": ","}, [(1, {"t": 1.234})]),
        ("ts;t\n1;0,125\n2;1,250\n", {}, [(1, {"t": 0.125}), (2, {"t": 1.25})]),
        ("ts;t;version\n1;1,5;2.0\n", {}, [(1, {"t": 1.5})]),
        ('ts,t\n1,"1,5"\n', {"decimal": ","}, [(1, {"t": 1.5})]),
        ("ts\tt\n1\t1.5\n", {}, [(1, {"t": 1.5})]),
        ("ts,a;b\n1,2\n", {}, [(1, {"a;b": 2.0})]),
        ("ts,a;b\n1,2\n", {"delimiter": ","}, [(1, {"a;b": 2.0})]),
        ("ts,t\n15/11/2023 12:00,1\n", {"time_format": "%d/%m/%Y %H:%M"}, [(NOON_MS, {"t": 1.0})]),
        ("ts,t\n11/15/2023 13:00 +0100,1\n", {"time_format": "%m/%d/%Y %H:%M %z"}, [(NOON_MS, {"t": 1.0})]),
        ("ts,t\n02012024,1\n", {"time_format": "%d%m%Y"}, [(1_704_153_600_000, {"t": 1.0})]),
        ("ts,t\n2023/11/15 12:00,1\n", {}, [(NOON_MS, {"t": 1.0})]),
        ("ts,TIMESTAMP,t\n1,2,3\n", {}, [(1, {"TIMESTAMP": 2.0, "t": 3.0})]),
    ],
)
def test_options_and_what_leaves_no_doubt_decide_how_a_csv_is_read(
    tmp_path: Path, text: str, options: dict[str, Any], expected: list[tuple[int, dict[str, float]]]
) -> None:
    """One reading each."""
    (tmp_path / "x.csv").write_text(text)
    _, rows, _ = read(tmp_path / "x.csv", **options)
    assert [(row[1], row[2]) for row in rows] == expected


@pytest.mark.parametrize(("encoding", "kind"), [("cp1252", "WINDOWS-1252"), ("utf-16", "UTF-16")])
def test_a_csv_in_another_encoding_is_refused_with_how_to_convert_it(
    tmp_path: Path, encoding: str, kind: str
) -> None:
    """Names and words would be kept mangled for ever."""
    (tmp_path / "x.csv").write_text("ts,Temp in °C\n1,2\n", encoding=encoding)
    with pytest.raises(InvalidInputError, match=f"line 1 is not UTF-8.* iconv -f {kind} -t UTF-8 x.csv"):
        read(tmp_path / "x.csv")


@given(
    day=st.dates(min_value=date(1000, 1, 1)),
    clock=st.times(),
    style=st.sampled_from(
        ["{d}.{m}.{y:04}", "{d:02}.{m:02}.{y:04}", "{y:04}/{m}/{d}", "{y:04}.{m:02}.{d:02}"]
    ),
    between=st.sampled_from([" ", ", ", "T"]),
)
def test_dates_mean_the_same_in_every_style_that_can_be_read(
    day: date, clock: dt_time, style: str, between: str
) -> None:
    """A whole column, a row of it and ISO 8601 agree."""
    text = style.format(d=day.day, m=day.month, y=day.year) + between + f"{clock:%H:%M:%S}"
    expected = parse_time(f"{day.isoformat()}T{clock:%H:%M:%S}Z", "ms")
    assert parse_time(text, "ms") == expected
    for column in ([text, text], [text, "junk"]):
        ms, valid = to_milliseconds(pa.array(column), "ms", "ts")
        assert (int(ms[0]), bool(valid[0])) == (expected, True)


def test_steps_are_counted_by_device_across_chunks(tmp_path: Path) -> None:
    """Without a time column each device's rows are one step apart, wherever chunks end."""
    frame = pl.DataFrame({"device": ["a", "b", "a", "a", "b"], "v": [1.0, 2.0, 3.0, 4.0, 5.0]})
    path = write(tmp_path / "x.parquet", frame)
    for batch_rows in (1, 2, 100):
        _, rows, _ = read(path, batch_rows, step_seconds=60)
        steps = [(row[0], (row[1] - STEP_START_MS) // 60_000) for row in rows]
        assert steps == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]


def test_an_integer_time_column_counts_steps(tmp_path: Path) -> None:
    """Step 7 of ten seconds is 70 seconds after the start; a column of another kind is refused."""
    path = write(tmp_path / "x.parquet", pl.DataFrame({"step": [7], "v": [1.0], "w": [0.5]}))
    _, rows, _ = read(path, time_column="step", step_seconds=10)
    assert rows[0][1] == STEP_START_MS + 70_000
    with pytest.raises(InvalidInputError, match="integer step"):
        read(path, time_column="w", step_seconds=10)


def test_without_a_device_column_the_file_is_the_device(tmp_path: Path) -> None:
    """A compressed CSV of one meter needs no device column."""
    with gzip.open(tmp_path / "house-7.csv.gz", "wt") as file:
        file.write("start,value\n2015-11-22T00:00:00-06:00,0.29\n2015-11-22T01:00:00-06:00,\n")
    opened, rows, _ = read(tmp_path / "house-7.csv.gz", time_column="start")
    assert [(row[0], row[2]) for row in rows] == [("house-7", {"value": 0.29})]
    assert opened.report.empty == 1


def test_a_header_alone_is_a_file_without_events(tmp_path: Path) -> None:
    """An export of an hour in which nothing happened is no mistake."""
    (tmp_path / "x.csv").write_text("device,ts,value\n")
    opened, rows, _ = read(tmp_path / "x.csv")
    assert (rows, opened.report.rows) == ([], 0)


def test_the_default_parameters_are_the_numeric_columns_that_are_left(tmp_path: Path) -> None:
    """Text, truth values, device, time, arrival and excluded columns are no parameters."""
    frame = pl.DataFrame(
        {"device": ["a"], "ts": [1], "got": [5], "v": [1.0], "label": [0], "name": ["x"], "on": [True]}
    )
    path = write(tmp_path / "x.parquet", frame)
    file, rows, chunks = read(path, arrival_column="got", exclude=("label",))
    assert rows == [("a", 1, {"v": 1.0}, "")]
    assert chunks[0].arrival_ms.tolist() == [5]
    left_out = "label (excluded), name (text), on (bool)"
    assert file.describe() == f"device: device; time: ts; arrival: got; parameters: v; left out: {left_out}"


def test_a_bad_cell_leaves_its_column_numeric(tmp_path: Path) -> None:
    """Its row is refused, wherever it stands; a column of words is left out, and is named with the reason."""
    path = tmp_path / "x.csv"
    path.write_text(
        "device,ts,Temp,mode,count,version\n"
        f"a,{NOON_MS},20.5,auto,1,7\n\na,{NOON_MS + 1},ERR,auto,x,7\na,{NOON_MS + 2},-1e1,off,3,7\n"
    )
    file, rows, _ = read(path)
    assert rows == [
        ("a", NOON_MS, {"Temp": 20.5, "count": 1.0}, ""),
        ("a", NOON_MS + 2, {"Temp": -10.0, "count": 3.0}, ""),
    ]
    assert file.report.refused == {"not_a_number": 1}
    left_out = 'left out: mode (text, first "auto" in line 2), version (events use that name)'
    assert file.describe().endswith(f"parameters: Temp, count; {left_out}")


def test_a_column_with_few_numbers_is_numeric_where_it_was_asked_for(tmp_path: Path) -> None:
    """By itself it is left out: half of its values are words; nulls count for neither."""
    path = tmp_path / "x.csv"
    cells = ["ERR", "ERR", "7", "null", "2.5", "\x1b[1m"]
    path.write_text("ts,t,u\n" + "".join(f"{NOON_MS + i},{cell},{i}\n" for i, cell in enumerate(cells)))
    file, rows, _ = read(path)
    assert [row[2] for row in rows] == [{"u": float(i)} for i in range(6)]
    assert file.describe().endswith('; left out: t (text, first "ERR" in line 2)')
    file, rows, _ = read(path, parameters=("t",))
    assert [row[2] for row in rows] == [{"t": 7.0}, {"t": 2.5}]
    assert (file.report.refused, file.report.empty) == ({"not_a_number": 3}, 1)
    assert "left out" not in file.describe()


def test_nan_is_neither_number_nor_word_for_what_a_column_is(tmp_path: Path) -> None:
    """As null: a single bad cell leaves out no column that is mostly absent, and NaN is never its reason."""
    path = tmp_path / "x.csv"
    cells = [("NaN", "nan"), ("1", "idle"), ("-NAN", "7"), ("ERR", "run"), ("NaN", "nan"), ("2", "nan")]
    path.write_text("ts,t,u\n" + "".join(f"{NOON_MS + i},{t},{u}\n" for i, (t, u) in enumerate(cells)))
    file, rows, _ = read(path)
    assert [row[2] for row in rows] == [{"t": 1.0}, {"t": 2.0}]
    assert (file.report.refused, file.report.empty) == ({"not_a_number": 1}, 3)
    assert file.describe().endswith('; left out: u (text, first "idle" in line 3)')


def test_a_cell_longer_than_the_csv_module_reads_is_text_as_any(tmp_path: Path) -> None:
    """The column is left out without the line; a header that is no header is refused."""
    path = tmp_path / "x.csv"
    path.write_text(f"ts,raw,t\n{NOON_MS},{'x' * 200_000},1\n{NOON_MS + 1},y,2\n")
    file, rows, _ = read(path)
    assert [row[2] for row in rows] == [{"t": 1.0}, {"t": 2.0}]
    assert file.describe().endswith(f'; left out: raw (text, first "{"x" * 20}")')
    path.write_text("x" * 200_000)
    with pytest.raises(InvalidInputError, match="first line can't be read"):
        read(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_excluded_columns_and_text_are_named(tmp_path: Path, suffix: str) -> None:
    """Also of a file that says itself what its columns are."""
    frame = pl.DataFrame({"ts": [NOON_MS], "a": [1.0], "b": [2.0], "note": ["x"]})
    file, _, _ = read(write(tmp_path / f"x{suffix}", frame), exclude=("b",))
    found = file.describe().partition("; left out: ")[2]
    assert found.startswith("b (excluded), note (text")
    assert found.endswith({".parquet": "note (text)", ".csv": 'note (text, first "x" in line 2)'}[suffix])


def test_text_that_was_asked_for_is_kept_as_text(tmp_path: Path) -> None:
    """A column that holds no numbers is kept raw when it is listed."""
    frame = pl.DataFrame({"device": ["a", "a"], "ts": [1, 2], "state": ["on", None]})
    file, rows, _ = read(write(tmp_path / "x.parquet", frame), parameters=("state",))
    assert rows == [("a", 1, {}, '{"state":"on"}')]
    assert (file.report.events, file.report.empty) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_column": "nope"}, "no column 'nope'; there are a, v, id"),
        ({"time_column": None}, "--time-column"),
        ({"parameters": ("id",), "time_column": "a"}, "'id' can't be a parameter"),
        ({"time_unit": "h"}, "s ms us or ns"),
        ({"step_seconds": 0.0}, "0.001 or more"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_the_remedy(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    """The error names what is there and what to write."""
    path = write(tmp_path / "x.parquet", pl.DataFrame({"a": [1], "v": [1.0], "id": [3]}))
    with pytest.raises(InvalidInputError, match=message):
        read(path, **options)


def test_ndjson_lines_are_refused_with_the_codes_of_requests(tmp_path: Path) -> None:
    """Good lines are read, bad ones are counted by code with their row."""
    lines = [
        '{"device":"a","ts":1,"v":1}',
        "{",
        "",
        '{"device":"a","ts":2,"v":1e999}',
        '{"device":"a","ts":3,"v":2}',
    ]
    (tmp_path / "x.ndjson").write_text("\n".join(lines))
    file, rows, chunks = read(tmp_path / "x.ndjson")
    assert [row[1] for row in rows] == [1, 3]
    assert [row for chunk in chunks for row in chunk.row.tolist()] == [0, 4]
    assert file.report.examples == {"invalid_json": [1], "number_not_finite": [3]}
    assert file.report.rows == 4


def test_ndjson_keeps_what_a_request_would_keep(tmp_path: Path) -> None:
    """Without mapping options a line is an event: text, application and id stay."""
    (tmp_path / "x.ndjson").write_text(
        '{"device":"a","ts":1,"v":1,"state":"on","application":"p","id":"7"}\n'
    )
    _, rows, chunks = read(tmp_path / "x.ndjson")
    assert rows == [("a", 1, {"v": 1.0}, '{"state":"on"}')]
    assert (chunks[0].batch.event_id[0], chunks[0].batch.streams) == ("7", (("p", ""),))


def test_ndjson_fields_can_be_renamed(tmp_path: Path) -> None:
    """Device, time with its unit, arrival and the choice of parameters work as for tables."""
    line = {"who": 7, "when": NOON_MS // 1000, "got": NOON_MS // 1000 + 1, "v": 0.1, "w": 2}
    (tmp_path / "x.ndjson").write_text(json.dumps(line) + "\n")
    options: dict[str, Any] = {
        "device_column": "who",
        "time_column": "when",
        "time_unit": "s",
        "arrival_column": "got",
    }
    _, rows, chunks = read(tmp_path / "x.ndjson", **options, parameters=("v",))
    assert rows == [("7", NOON_MS, {"v": 0.1}, "")]
    assert chunks[0].arrival_ms.tolist() == [NOON_MS + 1000]


def test_a_stream_without_devices_is_one_device() -> None:
    """Lines from a pipe that name no device are those of "stdin"."""
    stream = io.BytesIO(b'{"ts":1,"v":1}\n{"ts":2,"v":2}\n')
    chunks = list(open_events(None, Mapping(), stream=stream).chunks(1))
    assert [chunk.batch.device[0] for chunk in chunks] == ["stdin", "stdin"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
def test_chunk_size_changes_nothing(tmp_path: Path, suffix: str) -> None:
    """Rows come in the same order with the same numbers, and no chunk is larger than asked for."""
    frame = pl.DataFrame({"device": [f"d{n % 3}" for n in range(50)], "ts": range(50), "v": range(50)})
    path = write(tmp_path / f"x{suffix}", frame)
    expected = read(path, 1000)[1]
    for batch_rows in (1, 7, 49):
        _, rows, chunks = read(path, batch_rows)
        assert rows == expected
        assert [row for chunk in chunks for row in chunk.row.tolist()] == list(range(50))
        assert max(map(len, chunks)) <= batch_rows
