"""The bad-input table: each kind of bad line is told with its code, field and bytes; the others go on."""

from __future__ import annotations

import hashlib

import pytest

from tests.parsing_kit import codes, parse
from tocsin.ingest.parsing.line_code import LINE_CODES, LineCode

GOOD = b'{"device":"good","ts":1,"x":1}'


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (b'{"device":"d","ts":1,"x":NaN}', "number_not_finite", "x"),
        (b'{"device":"d","ts":1,"x":Infinity}', "number_not_finite", "x"),
        (b'{"device":"d","ts":1,"x":-Infinity}', "number_not_finite", "x"),
        (b'{"device":"d","ts":1,"x":1e999}', "number_not_finite", "x"),
        (b'{"device":"d","ts":1,"x":[-1e999]}', "number_not_finite", "x"),
        (b'{"device":"d","ts":1,"x":9007199254740993}', "number_out_of_range", "x"),
        (b'{"device":"d","ts":1,"x":-9007199254740993}', "number_out_of_range", "x"),
        (b'{"device":"d","ts":1,"x":{"deep":1' + b"0" * 5000 + b"}}", "number_out_of_range", "x"),
        (b'{"device":"d","ts":1,"x":1,"x":2}', "duplicate_key", "x"),
        (b'{"device":"d","ts":1,"x":1,"\\u0078":2}', "duplicate_key", "x"),
        (b'{"device":"d","ts":1,"x":null,"x":null}', "duplicate_key", "x"),
        (b'{"device":"d","ts":1,"device":"d"}', "duplicate_key", "device"),
        (b'{"device":"d","ts":1,"x":{"k":1,"k":1}}', "duplicate_key", "x"),
        (b'{"device":"d","ts":1,"x":' + b"[" * 32 + b"]" * 32 + b"}", "too_deep", "x"),
        (b'{"device":"' + b"d" * 257 + b'","ts":1}', "name_too_long", "device"),
        (b'{"device":"d","ts":1,"' + b"x" * 257 + b'":1}', "name_too_long", "x" * 256),
        (b'{"device":"d","ts":1,"id":"' + b"x" * 257 + b'"}', "name_too_long", "id"),
        (b'{"device":"d","ts":1,"":1}', "empty_name", ""),
        (b'{"device":"\xff","ts":1}', "invalid_utf8", ""),
        (b'{"device":"d","ts":1,"x":"\xed\xa0\x80"}', "invalid_utf8", ""),
        (b'{"device":"\\ud800","ts":1}', "invalid_utf8", "device"),
        (b'{"device":"d","ts":1,"x":"\\udc00\\ud800"}', "invalid_utf8", "x"),
        (b'{"device":"d","ts":1,}', "invalid_json", "ts"),
        (b'{"device":"d","ts":1,"x":01}', "invalid_json", "x"),
        (b'{"device":"d","ts":1,"x":1.}', "invalid_json", "x"),
        (b'{"device":"d","ts":1,"x":"a\tb"}', "invalid_json", "x"),
        (b'{"device":"d","ts":1,"x":"\\x"}', "invalid_json", "x"),
        (b'{"device":"d","ts":1,"x":tru}', "invalid_json", "x"),
        (b'{"device":"d","ts":1} {}', "invalid_json", "ts"),
        (b"{'device':'d'}", "invalid_json", ""),
        (b"hello", "invalid_json", ""),
        (b"\0", "invalid_json", ""),
        (b"[]", "not_an_object", ""),
        (b"17", "not_an_object", ""),
        (b"null", "not_an_object", ""),
        (b"{}", "missing_field", "device"),
        (b'{"device":"d"}', "missing_field", "ts"),
        (b'{"device":null,"ts":1}', "missing_field", "device"),
        (b'{"device":"","ts":1}', "missing_field", "device"),
        (b'{"device":"d","ts":null}', "missing_field", "ts"),
        (b'{"device":7,"ts":1}', "invalid_type", "device"),
        (b'{"device":"d","ts":1,"application":7}', "invalid_type", "application"),
        (b'{"device":"d","ts":1,"version":true}', "invalid_type", "version"),
        (b'{"device":"d","ts":1,"id":[]}', "invalid_type", "id"),
        (b'{"device":"d","ts":1.5}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":1e3}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":true}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"1700000000000"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":253402300800000}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22T10:00:00"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22T10:00:60Z"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-02-29T10:00:00Z"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22T24:00:00Z"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22T10:00:00.Z"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"2026-11-22T10:00:00+24:00"}', "invalid_timestamp", "ts"),
        (b'{"device":"d","ts":"0001-01-01T00:00:00+00:01"}', "invalid_timestamp", "ts"),
    ],
)
def test_bad_line_among_good_ones_is_told_and_kept(line: bytes, code: str, field: str) -> None:
    """The good lines are accepted, the bad one comes back with its number, code, field, remedy and bytes."""
    body = parse(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    assert codes(body) == [(2, code, field)]
    assert body.line.tolist() == [1, 3]
    assert body.errors[0].body == line
    assert body.errors[0].detail.endswith(LINE_CODES[LineCode(code)].remedy)


@pytest.mark.parametrize("line", [b'{"ts":1,"x":1}', b'{"device":"d","x":1}'])
def test_an_event_without_device_or_time_is_told_that_it_needs_both(line: bytes) -> None:
    """By their names, since the detail of the line stands alone."""
    (error,) = parse(line).errors
    assert "`device`" in error.detail
    assert "`ts`" in error.detail


def test_all_lines_bad_leaves_an_empty_batch() -> None:
    """Every line is told; nothing is accepted."""
    body = parse(b"a\nb\n")
    assert (len(body.batch), len(body.errors), body.received) == (0, 2, 2)


@pytest.mark.parametrize("length", range(1, len(GOOD)))
def test_last_line_cut_off_is_told_and_complete_lines_are_kept(length: int) -> None:
    """Wherever the connection broke inside the last line, the line before it is accepted."""
    body = parse(GOOD + b"\n" + GOOD[:length])
    assert codes(body)[0][:2] == (2, "truncated_line")
    assert len(body.batch) == 1


def test_cut_inside_a_character_is_a_cut_line() -> None:
    """Half a UTF-8 sequence at the very end means that the rest is missing."""
    assert codes(parse('{"device":"ü'.encode()[:-1]))[0][1] == "truncated_line"


@pytest.mark.parametrize(
    "line",
    [
        b"{'device':'pump-7','ts':1,'x':1}",
        b'{"device":"pump-7","ts":1,"x":1,}',
        b'{"device":"pump-7","ts":1,"x":1}}',
        b'{"device":"pump-7","ts":1,"x":0,5}',
        b'{"device":"pump\xff-7","ts":1}',
        b"nonsense",
    ],
)
def test_a_wrong_last_line_is_not_said_to_be_cut_off(line: bytes) -> None:
    """Sending it again, whole, would not help: it is wrong before its end."""
    assert codes(parse(line))[0][1] in {"invalid_json", "invalid_utf8"}
    assert codes(parse(line)) == codes(parse(line + b"\n"))


@pytest.mark.parametrize(
    "value",
    [
        b"-1.25e+3",
        b"true",
        b"null",
        b'"\\u00fc\\ud83d\\ude00\\n"',
        '"ü€😀"'.encode(),
        b'[1, {"a": [false]}]',
    ],
)
def test_wherever_a_value_is_cut_off_the_rest_is_said_to_be_missing(value: bytes) -> None:
    """Numbers, words, escapes and characters of several bytes, too."""
    whole = b'{"device":"pump-7","ts":1,"x":' + value
    for length in range(len(whole) - len(value), len(whole)):
        assert codes(parse(whole[:length]))[0][1] == "truncated_line", whole[:length]


def test_whole_last_line_needs_no_line_end() -> None:
    """A body may end without a line feed."""
    assert len(parse(GOOD).batch) == 1


def test_bad_line_with_a_line_end_is_not_called_cut() -> None:
    """Only a last line without line end can have been cut off."""
    assert codes(parse(GOOD[:-1] + b"\n"))[0][1] == "invalid_json"


def test_line_too_long_keeps_a_prefix_and_the_hash_of_all() -> None:
    """Of a line over 256 KiB the first 4 KiB are kept; the detail names its length and SHA-256."""
    line = b'{"device":"d","ts":1,"x":"' + b"y" * (256 << 10) + b'"}'
    body = parse(GOOD + b"\n" + line + b"\n" + GOOD)
    (error,) = body.errors
    assert (error.line, error.code) == (2, "line_too_long")
    assert error.body == line[:4096]
    assert hashlib.sha256(line).hexdigest() in error.detail
    assert str(len(line)) in error.detail
    assert len(body.batch) == 2


def test_line_of_just_the_limit_is_read() -> None:
    """256 KiB are allowed, one byte more is not."""
    line = b'{"device":"d","ts":1,"x":"' + b"y" * ((256 << 10) - 28) + b'"}'
    assert len(line) == 256 << 10
    assert not parse(line).errors
    assert codes(parse(b" " + line)) == [(1, "line_too_long", "")]


def test_nesting_of_just_the_limit_is_read() -> None:
    """32 levels, the event's own object included."""
    assert not parse(b'{"device":"d","ts":1,"x":' + b"[" * 31 + b"]" * 31 + b"}").errors


def test_names_of_just_the_limit_are_read() -> None:
    """256 characters, however many bytes they take."""
    name = "ü" * 256
    body = parse(f'{{"device":"{name}","ts":1,"{name}":1}}'.encode())
    assert (body.errors, body.batch.names, body.batch.device.tolist()) == ([], (name,), [name])


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    """The table that the documents are made from has all codes."""
    assert set(LINE_CODES) == set(LineCode)
    assert all(info.meaning and info.remedy for info in LINE_CODES.values())
