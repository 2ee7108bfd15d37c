"""What a good line becomes."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parsing_kit import events_in, ndjson, parse
from tocsin.ingest.parsing.event_line import event_line
from tocsin.ingest.parsing.timestamp import parse_rfc3339


def test_an_event_becomes_a_row() -> None:
    """Numbers are readings, other fields one canonical object, reserved fields columns of their own."""
    line = (
        b'{"device":"pump-7","ts":"2026-11-22T10:00:00Z","version":"2","mode":"on","t":20.1,"gone":null,'
        b'"id":"x1","application":"hvac","at":{"z":1,"a":[1.50,-0.0]},"h":51}'
    )
    batch = parse(line).batch
    assert batch.device.tolist() == ["pump-7"]
    assert batch.ts.tolist() == [1_795_341_600_000]
    assert batch.streams[batch.stream[0]] == ("hvac", "2")
    assert batch.event_id.tolist() == ["x1"]
    assert [batch.names[i] for i in batch.parameter] == ["t", "h"]
    assert batch.value.tolist() == [20.1, 51.0]
    assert batch.text.tolist() == ['{"at":{"a":[1.5,0.0],"z":1},"mode":"on"}']
    assert batch.text_count.tolist() == [2]
    assert batch.flags.tolist() == [0]


def test_an_event_without_fields_is_a_sign_of_life() -> None:
    """Device and time alone are accepted."""
    body = parse(b'{"device":"d","ts":0}')
    assert (len(body.batch), body.batch.readings, body.errors) == (1, 0, [])


def test_blank_lines_count_as_lines_but_not_as_received() -> None:
    """Numbers in answers are those that an editor shows."""
    body = parse(b'\n \t\r\n{"device":"d","ts":0}\r\n\n{"device":"e","ts":0}')
    assert (body.line.tolist(), body.received) == ([3, 5], 2)


def test_an_empty_body_has_no_events() -> None:
    """Nothing is received, nothing is wrong."""
    body = parse(b"")
    assert (len(body.batch), body.received, body.batch.names, body.batch.streams) == (0, 0, (), ())


def test_names_are_numbered_as_accepted_events_first_use_them() -> None:
    """A name that came only in a refused line, or only as text or null, has no number."""
    body = parse(
        b'{"device":"d","ts":0,"bad":1,"x":NaN}\n{"device":"d","ts":0,"s":"t","n":null,"b":2}\n'
        b'{"device":"d","ts":0,"a":3,"b":4}\n'
    )
    assert body.batch.names == ("b", "a")
    assert body.batch.parameter.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.0019z", 1),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.9999-00:00", -1),
        ("1969-12-31T23:59:59.0001Z", -1000),
        ("2024-02-29T12:00:00-23:59", 1_709_294_340_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999999999999Z", 253_402_300_799_999),
    ],
)
def test_stamps_are_cut_to_milliseconds_towards_the_past(text: str, ts: int) -> None:
    """Any offset, any number of digits; what lies beyond the millisecond is cut off, never rounded up."""
    assert parse(f'{{"device":"d","ts":"{text}"}}'.encode()).batch.ts.tolist() == [ts]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.datetimes(timezones=st.timezones()), min_size=1, max_size=20))
def test_stamps_are_those_of_the_standard_library(stamps: list[dt.datetime]) -> None:
    """Whole seconds of any zone give the instant that datetime computes, in both readers."""
    whole = [stamp.replace(microsecond=0) for stamp in stamps]
    whole = [stamp for stamp in whole if not stamp.utcoffset().seconds % 60]  # type: ignore[union-attr]
    texts = [stamp.isoformat() for stamp in whole]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    expected = [(stamp - epoch) // dt.timedelta(milliseconds=1) for stamp in whole]
    body = parse("\n".join(f'{{"device":"d","ts":"{text}"}}' for text in texts).encode())
    if all(-62_135_596_800_000 <= ts <= 253_402_300_799_999 for ts in expected):
        assert body.batch.ts.tolist() == expected
        assert [parse_rfc3339(text) for text in texts] == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.sampled_from("reEgf"))
def test_numbers_are_the_nearest_float64(values: list[float], form: str) -> None:
    """However a number is spelled, it reads as Python's float() reads it, and -0.0 as 0.0."""
    spelled = [repr(v) if form == "r" else f"{v:.17{form}}" for v in values]
    spelled = [text if set(text) & set(".eE") else text + ".0" for text in spelled]
    body = parse(b"".join(b'{"device":"d","ts":0,"x":%s}\n' % text.encode() for text in spelled))
    expected = [float(text) + 0.0 for text in spelled]
    assert [v.hex() for v in body.batch.value.tolist()] == [v.hex() for v in expected]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**54), st.integers(-30, 30), st.booleans())
def test_decimal_numbers_are_exact_at_the_border_of_the_fast_path(
    digits: int, power: int, negative: bool
) -> None:
    """Mantissas around 2^53 and powers of ten around 22 round once, as float() does."""
    text = f"{'-' * negative}{digits}e{power}"
    value = parse(f'{{"device":"d","ts":0,"x":{text}}}'.encode()).batch.value[0]
    assert value == float(text)


@pytest.mark.parametrize("digits", [2**53, -(2**53), 0])
def test_integers_up_to_two_to_the_53_are_exact(digits: int) -> None:
    """The bound itself is allowed."""
    assert parse(f'{{"device":"d","ts":0,"x":{digits}}}'.encode()).batch.value.tolist() == [digits]


FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
        lambda name: name not in {"device", "ts", "application", "version", "id"}
    ),
    st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8) | st.booleans(),
    max_size=5,
)


@settings(deadline=None)
@given(st.lists(FIELDS, max_size=5))
def test_a_row_can_be_written_as_the_line_it_came_from(fields: list[dict[str, object]]) -> None:
    """event_line gives a line that is read as the same event."""
    events = [{"device": "d", "ts": 5} | own for own in fields]
    batch = parse(ndjson(events)).batch
    lines = [event_line(batch, row) for row in range(len(batch))]
    assert events_in(parse(b"\n".join(lines))) == events_in(parse(ndjson(events))) == events
