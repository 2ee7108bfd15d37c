"""The fast reader of log lines answers as the careful one does, and is not asked in vain."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import LOG_SEEDS, mutated
from tests.parsing_kit import difference
from tocsin.ingest.parsing.careful import parse_ndjson_carefully
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines, parse_log_lines_carefully
from tocsin.ingest.parsing.scanned import LOG_LINES, scan

LIMITS = ParseLimits()
NARROW = ParseLimits(lines=3, line_bytes=120, depth=2, name_characters=7)
NAMED = ("device", "time", "component", "text", "level", "application", "version")
NAMES = st.sampled_from([*NAMED, *NAMED, "rack"]) | st.text(max_size=5)
TEXTS = st.text(max_size=12) | st.text('\0\x07\b\t\n\x0b\f\r\x0e\x1b\x1f\x7f"\\/äa', max_size=9)
VALUES = (
    TEXTS.map(json.dumps)
    | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
    | st.integers(-(2**55), 2**55).map(str)
    | st.sampled_from(["null", "true", "[]", '{"a":1}', "1.5"])
    | st.sampled_from(['"\\/"', '"\\u000A"', '"\\u001B"', '"\\u0008"', '"\\u001f"', '"\\u0041"'])
    | st.sampled_from(['"2026-11-22T10:00:00.250Z"', '"2026-11-22 10:00:00+01:00"', '"2026-02-30T00:00:00Z"'])
)
SPACES = st.sampled_from(["", "", "", " ", "\t", "\r"])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Objects that are mostly lines of logs, spelled in many ways."""
    fields = [("device", '"d"'), ("time", "1"), ("component", '"c"'), ("text", draw(TEXTS.map(json.dumps)))]
    fields = fields if draw(st.integers(0, 9)) else fields[1:]
    fields += draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))
    fields = draw(st.permutations(fields))
    space = draw(SPACES)
    members = [f"{json.dumps(name)}{space}:{space}{value}" for name, value in fields]
    return f"{space}{{{space}{f'{space},{space}'.join(members)}{space}}}{space}".encode(errors="replace")


def assert_same(body: bytes, limits: ParseLimits = LIMITS) -> None:
    assert difference(parse_log_lines_carefully, parse_log_lines, body, limits) == ""


@settings(deadline=None, max_examples=300)
@given(st.lists(lines(), max_size=5), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.integers(0, 12))
@example([], b"\n", 0)
def test_generated_bodies(parts: list[bytes], end: bytes, cut: int) -> None:
    """Good and odd lines of all spellings, cut somewhere at the end, within wide and narrow limits."""
    body = b"".join(part + end for part in parts)
    assert_same(body[: len(body) - cut])
    assert_same(body[: len(body) - cut], NARROW)


def test_damaged_bodies() -> None:
    """Bytes that were changed, left out and put in."""
    rng = random.Random(6)
    for _ in range(3000):
        assert_same(mutated(rng, LOG_SEEDS), rng.choice((LIMITS, NARROW)))


@pytest.mark.parametrize("body", LOG_SEEDS)
def test_seeds(body: bytes) -> None:
    """And what is left of them when they are cut anywhere."""
    for end in range(len(body) + 1):
        assert_same(body[:end])


def test_usual_lines_never_reach_the_careful_reader() -> None:
    """With levels, streams, escapes, colours and letters beyond ASCII, as senders spell them."""
    texts = ["closed", 'said "no"\n  at b', "\x1b[31mred\x1b[0m", "Tür zu", "C:\\temp"]
    sent: list[dict[str, object]] = [
        {"device": "press-3", "component": "door", "time": time_sent, "level": "WARN", "text": text}
        for text in texts
        for time_sent in (1_767_592_800_000, "2026-01-05T06:00:00Z", "2026-01-05T06:00:00.250+01:00")
    ]
    sent += [fields | {"application": "press", "version": "1.2"} for fields in sent]
    body = b"".join(json.dumps(fields, ensure_ascii=False).encode() + b"\n" for fields in sent)
    found = scan(body, LIMITS, LOG_LINES)
    assert (len(found.batch), found.handed.tolist()) == (len(sent), [])
    assert_same(body)


def test_a_thread_reads_events_and_lines_in_turn() -> None:
    """What one left in the memory that both use is nothing to the other."""
    events = b'{"device":"d","ts":1,"x":1.5,"s":"on","id":"7"}\n' * 3
    for _ in range(3):
        assert difference(parse_ndjson_carefully, parse_ndjson, events, LIMITS) == ""
        for body in LOG_SEEDS:
            assert_same(body)
