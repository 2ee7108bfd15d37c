"""The same events in every content type and encoding, and bodies that are refused as a whole."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parsing_kit import (
    ARROW,
    CSV,
    JSON,
    NDJSON,
    arrow_stream,
    codes,
    csv_rows,
    differences,
    events_in,
    ndjson,
    parse,
)
from tocsin.errors import InvalidInputError, TooLargeError, UnsupportedMediaError
from tocsin.ingest.parsing.csv_rows import parse_csv
from tocsin.ingest.parsing.limits import ParseLimits

STAMP = "2026-11-22T10:00:00Z"
EVENTS: list[dict[str, Any]] = [
    {"device": "a", "ts": STAMP, "x": 1.5, "s": "on"},
    {"device": "b", "ts": "2026-11-22T11:00:00.1239+01:00", "version": "2", "y": -3.0, "id": "i"},
    {"device": "ü", "ts": 17, "application": "hvac", "x": 2.0, "s": 'a "quoted",\nline', "ok": True},
]
NAMES = st.sampled_from(["x", "y", "temperature", "state", "ok"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=6).filter(
    lambda text: text == text.strip() and not any(c.isdigit() for c in text) and len(text) < 3
)
VALUES = {
    "x": st.floats(allow_nan=False, allow_infinity=False).map(lambda v: v + 0.0),
    "y": st.integers(-(2**53), 2**53),
    "temperature": st.floats(-50, 50).map(lambda v: v + 0.0),
    "state": TEXTS,
    "ok": st.booleans(),
}


_NO_ROWS = pa.table({"device": pa.array([], pa.string()), "ts": pa.array([], pa.int64())})


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events with columns that each have one type, as tables need."""
    found = []
    for _ in range(draw(st.integers(0, 6))):
        event: dict[str, Any] = {
            "device": draw(st.sampled_from("abc")),
            "ts": draw(st.integers(-(10**12), 10**13)),
        }
        for name in ("application", "version", "id", *VALUES):
            if draw(st.booleans()):
                event[name] = draw(VALUES.get(name, TEXTS))
        found.append(event)
    return found


@settings(deadline=None, max_examples=60)
@given(events())
def test_array_csv_and_arrow_give_the_batch_of_the_lines(found: list[dict[str, Any]]) -> None:
    """All columns are equal, names and streams in the same order; only lines are counted differently."""
    header = list(dict.fromkeys(name for event in found for name in event))
    found = [{name: event[name] for name in header if name in event} for event in found]
    lines = parse(ndjson(found))
    assert differences(parse(json.dumps(found, indent=1).encode(), JSON), lines) == []
    assert set(differences(parse(csv_rows(found), CSV), lines)) <= {"line"}
    rows = [{name: event.get(name) for name in header} for event in found]
    table = pa.Table.from_pylist(rows) if rows else _NO_ROWS
    assert differences(parse(arrow_stream(table), ARROW), lines) == []


def test_one_object_is_one_event() -> None:
    """application/json may be a single object, over several lines."""
    assert differences(parse(json.dumps(EVENTS[0], indent=2).encode(), JSON), parse(ndjson(EVENTS[:1]))) == []


def test_array_elements_fail_one_by_one() -> None:
    """The number told is the element's, the bytes kept are its own, line ends included."""
    body = b'[{"device":"a","ts":1},\n {"device":"b",\n"ts":NaN} , 7 ,{"device":"c","ts":2,"s":"a\nb"}]'
    parsed = parse(body, JSON)
    assert codes(parsed) == [
        (2, "number_not_finite", "ts"),
        (3, "not_an_object", ""),
        (4, "invalid_json", "s"),
    ]
    assert [error.body.strip() for error in parsed.errors[::2]] == [
        b'{"device":"b",\n"ts":NaN}',
        b'{"device":"c","ts":2,"s":"a\nb"}',
    ]
    assert parsed.line.tolist() == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"5",
        b'"a"',
        b"[",
        b"[{}",
        b"[{},]",
        b"[,{}]",
        b"[{},,{}]",
        b"[]]",
        b"[] []",
        b"[}",
        b'["a]',
        b"[{]}]x",
    ],
)
def test_what_is_no_array_is_refused_whole(body: bytes) -> None:
    """A cut or malformed array has no elements that could be trusted."""
    with pytest.raises(InvalidInputError):
        parse(body, JSON)


def test_an_empty_array_has_no_events() -> None:
    """Nothing is received, nothing is wrong."""
    assert parse(b" [ \n ] ", JSON).received == 0


def test_csv_cells_become_what_they_look_like() -> None:
    """Numbers are numbers even in quotes, true and false are booleans, an empty cell is absent."""
    body = b'device,ts,n,q,b,s,e\n7,1,+5,"007",TRUE,1e,\n8,2,.5,5.,false,-,\n'
    assert events_in(parse(body, CSV)) == [
        {"device": "7", "ts": 1, "n": 5.0, "q": 7.0, "b": True, "s": "1e"},
        {"device": "8", "ts": 2, "n": 0.5, "q": 5.0, "b": False, "s": "-"},
    ]


def test_csv_rows_fail_one_by_one() -> None:
    """The number told is that of the row's first line; the bytes kept are all of its lines."""
    body = (
        b"device,ts,x,s\na,1,nan,\n,1,1,\nb,1,9007199254740993,\nc,1,1,t,extra\n"
        b'd,1,1,"two\nlines"\ne,1,1,"x"y\n\nf,\xff,1,\ng,1,1\nh,1,Infinity,"two\nlines"\n'
    )
    parsed = parse(body, CSV)
    assert codes(parsed) == [
        (2, "number_not_finite", "x"),
        (3, "missing_field", "device"),
        (4, "number_out_of_range", "x"),
        (5, "invalid_csv", ""),
        (8, "invalid_csv", ""),
        (10, "invalid_utf8", ""),
        (12, "number_not_finite", "x"),
    ]
    assert parsed.line.tolist() == [6, 11]
    assert parsed.errors[-1].body == b'device,ts,x,s\nh,1,Infinity,"two\nlines"'


def test_a_refused_row_keeps_its_header() -> None:
    """So the two are a body again; a header that is very long or of several lines is left out."""
    parsed = parse(b"\xef\xbb\xbfdevice,ts,x\r\na,1,nan\r\nb,1,1\r\n", CSV)
    kept = parsed.errors[0].body
    assert kept == b"device,ts,x\na,1,nan"
    assert codes(parse(kept, CSV)) == [(2, "number_not_finite", "x")]
    for name in ("y" * 200 + "," + ",".join(f"name-{number}" for number in range(2000)), '"two\nlines"'):
        header = f"device,ts,x,{name}\n".encode()
        assert parse(header + b"a,1,nan\n", CSV).errors[0].body == b"a,1,nan"


def test_csv_rows_have_the_limits_of_lines() -> None:
    """A row that is too long fails alone; one row more than allowed refuses the body."""
    body = b"device,ts,s\na,1,x\nb,1,%s\nc,1,x\n" % (b"y" * 90)
    assert codes(parse(body, CSV, line_bytes=90)) == [(3, "line_too_long", "")]
    assert parse(body, CSV, lines=3).received == 3
    with pytest.raises(TooLargeError):
        parse(body, CSV, lines=2)


@pytest.mark.parametrize(
    "header", [b"", b"device,x", b"ts,x", b"device,ts,x,x", b"device,ts,", b"device,ts,\xff", b'device,ts,"']
)
def test_bad_csv_header_refuses_the_body(header: bytes) -> None:
    """Without device and ts, or with names that are empty, repeated or unreadable, no row has a meaning."""
    with pytest.raises(InvalidInputError):
        parse(header + b"\na,1,2,3\n", CSV)


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_arrow_stamps_of_any_unit_and_zone(unit: str, scale: int) -> None:
    """An instant is one instant; what lies beyond the millisecond is cut off towards the past."""
    stamps = [0, 1_795_341_600 * scale, -1]
    table = pa.table({"device": ["d"] * 3, "ts": pa.array(stamps, pa.timestamp(unit, tz="Europe/Berlin"))})
    expected = [0, 1_795_341_600_000, -1000 if unit == "s" else -1]
    assert parse(arrow_stream(table), ARROW).batch.ts.tolist() == expected


def test_arrow_columns_of_all_types() -> None:
    """Integers, floats of any width, strings plain, large or in dictionaries, booleans, nothing at all."""
    table = pa.table(
        {
            "device": pa.array(["d", "d"]).dictionary_encode(),
            "ts": pa.array([1, 2], pa.uint32()),
            "i": pa.array([1, None], pa.int8()),
            "f": pa.array([0.5, -0.0], pa.float16()),
            "s": pa.array(["on", None], pa.large_string()),
            "b": [None, True],
            "n": pa.nulls(2),
            "version": pa.nulls(2),
        }
    )
    assert events_in(parse(arrow_stream(table), ARROW)) == [
        {"device": "d", "ts": 1, "i": 1.0, "f": 0.5, "s": "on"},
        {"device": "d", "ts": 2, "f": 0.0, "b": True},
    ]
    assert parse(arrow_stream(table), ARROW).batch.names == ("i", "f")


def test_arrow_stream_of_polars() -> None:
    """Polars writes strings as views and times in microseconds; several batches are one body."""
    frame = pl.DataFrame({"device": ["a", "device-with-a-long-name"], "ts": [1, 2], "x": [1.5, None]})
    frame = pl.concat([frame, frame], rechunk=False).with_columns(pl.col("ts").cast(pl.Datetime("ms")))
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    parsed = parse(out.getvalue(), ARROW)
    assert parsed.batch.device.tolist() == ["a", "device-with-a-long-name"] * 2
    assert parsed.batch.value.tolist() == [1.5, 1.5]
    assert parsed.line.tolist() == [1, 2, 3, 4]


def test_arrow_rows_fail_one_by_one() -> None:
    """A row at fault is told with its values; the others are accepted."""
    table = pa.table(
        {
            "device": ["a", None, "", "d" * 257, "e", "f", "g", "h"],
            "ts": pa.array([1, 2, 3, 4, None, 253_402_300_800_000, 7, 8]),
            "x": [1.0] * 6 + [float("nan"), 8.0],
            "n": [1] * 7 + [2**53 + 1],
        }
    )
    parsed = parse(arrow_stream(table), ARROW)
    assert codes(parsed) == [
        (2, "missing_field", "device"),
        (3, "missing_field", "device"),
        (4, "name_too_long", "device"),
        (5, "missing_field", "ts"),
        (6, "invalid_timestamp", "ts"),
        (7, "number_not_finite", "x"),
        (8, "number_out_of_range", "n"),
    ]
    assert json.loads(parsed.errors[0].body) == {"device": None, "ts": 2, "x": 1.0, "n": 1}
    assert (parsed.line.tolist(), parsed.received) == ([1], 8)


GOOD_TABLE = pa.table({"device": ["a"] * 100, "ts": range(100), "x": [1.5] * 100})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no arrow",
        arrow_stream(GOOD_TABLE)[:-500],
        arrow_stream(GOOD_TABLE, compression="zstd"),
        arrow_stream(
            pa.table({"device": pa.array(["a"] * 99).dictionary_encode(), "ts": [1] * 99}), compression="lz4"
        ),
        arrow_stream(pa.table({"device": ["a"]})),
        arrow_stream(pa.table({"device": ["a"], "ts": [[1]]})),
        arrow_stream(pa.table({"device": [1], "ts": [1]})),
        arrow_stream(pa.table({"device": ["a"], "ts": [1], "x": [{"y": 1}]})),
        arrow_stream(pa.table([["a"], [1], [1], [2]], names=["device", "ts", "x", "x"])),
        arrow_stream(pa.table([["a"], [1], [1]], names=["device", "ts", ""])),
    ],
)
def test_bad_arrow_stream_is_refused_whole(body: bytes) -> None:
    """Damage, compressed buffers and columns of types that are not read."""
    with pytest.raises(InvalidInputError):
        parse(body, ARROW)


@pytest.mark.parametrize("limits", [{"lines": 99}, {"body_bytes": 20_000}])
def test_arrow_that_unfolds_beyond_the_limits_is_too_large(limits: dict[str, Any]) -> None:
    """A long text in a dictionary, named by a hundred rows, is counted a hundred times."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int8()), pa.array(["x" * 1000]))
    body = arrow_stream(GOOD_TABLE.append_column("s", text))
    assert len(body) < 10_000
    with pytest.raises(TooLargeError):
        parse(body, ARROW, **limits)


ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("content_type", [NDJSON, "application/ndjson", "application/jsonl; charset=utf-8"])
def test_encodings_change_nothing(encoding: str, content_type: str) -> None:
    """Packed or not, the answer is the same."""
    body = ENCODED[encoding](ndjson(EVENTS))
    assert differences(parse(body, content_type, encoding), parse(ndjson(EVENTS))) == []


def test_byte_order_mark_is_skipped() -> None:
    """Spreadsheets put one before CSV, some tools before JSON."""
    assert len(parse(b"\xef\xbb\xbf" + csv_rows(EVENTS), CSV).batch) == 3
    assert len(parse(b"\xef\xbb\xbf" + ndjson(EVENTS)).batch) == 3


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "trailing", "none of it", "empty"])
def test_damaged_streams_are_refused_whole(encoding: str, damage: str) -> None:
    """A stream that is cut, altered or something else gives no lines at all."""
    packed = ENCODED[encoding](ndjson(EVENTS) * 50)
    middle = len(packed) // 2
    body = {
        "cut": packed[:-6],
        "flipped": packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :],
        "trailing": packed + b"more",
        "none of it": ndjson(EVENTS),
        "empty": b"",
    }[damage]
    with pytest.raises(InvalidInputError):
        parse(body, NDJSON, encoding)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_too_large_and_never_unpacked(encoding: str) -> None:
    """A gigabyte of spaces in a small body is refused after the limit, not after the gigabyte."""
    bomb = ENCODED[encoding](b" " * (64 << 20)) * 16
    assert len(bomb) < 2 << 20
    usual, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            parse(bomb, NDJSON, encoding, body_bytes=1 << 20)
        peaks_bytes = pool.max_memory() or 0, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert max(peaks_bytes) < 16 << 20


def test_a_body_of_just_the_limit_is_read() -> None:
    """One byte more is too large."""
    body = ndjson(EVENTS)
    assert len(parse(body, body_bytes=len(body)).batch) == 3
    with pytest.raises(TooLargeError):
        parse(body, body_bytes=len(body) - 1)


@pytest.mark.parametrize(
    ("content_type", "encoding"), [("text/plain", ""), ("", ""), (NDJSON, "br"), (NDJSON, "gzip, gzip")]
)
def test_other_types_and_encodings_are_unsupported(content_type: str, encoding: str) -> None:
    """The answer names what is read."""
    with pytest.raises(UnsupportedMediaError, match="use one of"):
        parse(b"", content_type, encoding)


@pytest.mark.parametrize(("cell", "value"), [("+5", 5.0), ("-5", -5.0), ("+-5", None), ("--5", None)])
def test_a_csv_number_has_one_sign(cell: str, value: float | None) -> None:
    """Two signs make text, which is kept and not scored."""
    parsed = parse_csv(f"device,ts,a\nd,1700000000000,{cell}\n".encode(), ParseLimits())
    assert parsed.batch.value.tolist() == ([] if value is None else [value])
    assert parsed.batch.text_count.tolist() == [int(value is None)]
