"""The fast reader answers as the careful one does."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import SEEDS, mutated
from tests.fuzz.parser import fuzz
from tests.parsing_kit import difference
from tocsin.errors import TooLargeError
from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing.careful import parse_ndjson_carefully
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody

LIMITS = ParseLimits()

NAMES = st.sampled_from(["device", "ts", "id", "application", "version", "x", "temperature"]) | st.text(
    max_size=9
)
NUMBERS = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
STAMPS = st.from_regex(
    r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
    r"(\.[0-9]{0,7})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
    fullmatch=True,
)
SCALARS = (
    st.text(max_size=12).map(json.dumps)
    | st.text(max_size=12).map(lambda text: json.dumps(text, ensure_ascii=False))
    | STAMPS.map(json.dumps)
    | NUMBERS
    | st.integers(-(2**55), 2**55).map(str)
    | st.sampled_from(["null", "true", "false", "NaN", "[]", "{}", '{"a":[1,2.0]}', "1e999", "-0", '"\\/"'])
)
SPACES = st.sampled_from(["", "", "", " ", "\t", "\r"])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Objects that are mostly events, spelled in many ways."""
    fields = [("device", '"d"'), ("ts", "1")] if draw(st.integers(0, 9)) else []
    fields += draw(st.lists(st.tuples(NAMES, SCALARS), max_size=6))
    fields = draw(st.permutations(fields))
    space = draw(SPACES)
    members = [f"{json.dumps(name)}{space}:{space}{value}" for name, value in fields]
    return f"{space}{{{space}{f'{space},{space}'.join(members)}{space}}}{space}".encode(errors="replace")


def assert_same(body: bytes, limits: ParseLimits = LIMITS) -> None:
    assert difference(parse_ndjson_carefully, parse_ndjson, body, limits) == ""


@settings(deadline=None, max_examples=300)
@given(st.lists(lines(), max_size=5), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.integers(0, 12))
@example([], b"\n", 0)
def test_generated_bodies(parts: list[bytes], end: bytes, cut: int) -> None:
    """Good and odd lines of all spellings, cut somewhere at the end."""
    body = b"".join(part + end for part in parts)
    assert_same(body[: len(body) - cut])


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    st.integers(0, len(SEEDS) - 1),
    st.integers(0, 90),
)
def test_noise_in_good_lines(noise: bytes, seed: int, at: int) -> None:
    """Any bytes anywhere in a good line."""
    assert_same(SEEDS[0] + SEEDS[seed][:at] + noise + SEEDS[seed][at:] + SEEDS[0])


@pytest.mark.parametrize("seed", range(20))
def test_mutated_bodies(seed: int) -> None:
    """Hundreds of bodies of the fuzzer, under narrow limits too."""
    rng = random.Random(seed)
    for _ in range(40):
        body = mutated(rng)
        assert_same(body)
        assert_same(body, ParseLimits(lines=2, line_bytes=100, depth=2, name_characters=6))


@pytest.mark.parametrize("size", [0, 1, 319, 320, 321, 700, 20_000])
def test_bodies_of_every_length_around_the_end(size: int) -> None:
    """The end of a body is read from a copy with room behind it; where that begins changes nothing."""
    line = b'{"device":"d","ts":1,"x":%d}\n'
    body = b"".join(line % i for i in range(size // 28 + 1))
    for cut in range(30):
        assert_same(body[: max(0, size - cut)])


def test_characters_that_are_cut_off() -> None:
    """Well-formed and broken sequences of UTF-8 of every width, in values and in names."""
    for character in ("é", "€", "😀"):
        whole = character.encode()
        for end in range(1, len(whole) + 1):
            piece = whole[:end] + b"x" * (len(whole) - end)
            assert_same(b'{"device":"d%s","ts":1,"n%s":1,"s":"%s"}\n' % (piece, piece, piece))


def test_more_names_streams_and_texts_than_the_scanner_holds() -> None:
    """What is beyond the scanner's tables goes the careful way, with the same numbers."""
    many_names = b"".join(b'{"device":"d","ts":1,"n%d":1,"m":2}\n' % i for i in range(slot.NAMES_MAX + 9))
    many_streams = b"".join(
        b'{"device":"d","ts":1,"version":"%d","m":2}\n' % i for i in range(slot.STREAMS_MAX + 9)
    )
    texts = json.dumps({"device": "d", "ts": 1} | {f"t{i}": str(i) for i in range(slot.TEXT_FIELDS_MAX + 1)})
    wide = json.dumps({"device": "d", "ts": 1} | {f"p{i}": i for i in range(slot.GUESSES_MAX + 9)})
    assert_same(many_names + many_names)
    assert_same(many_streams + many_streams)
    assert_same((texts + "\n").encode() * 2 + (wide + "\n").encode() * 3)


def test_lines_beyond_the_limit_refuse_the_whole_body() -> None:
    """One line more than allowed is too large; blank lines are free."""
    limits = ParseLimits(lines=3)
    body = SEEDS[0] + b"\n\nbad\n" + SEEDS[0]
    assert parse_ndjson(body + b"\n \n", limits).received == 3
    with pytest.raises(TooLargeError, match="more than 3 lines"):
        parse_ndjson(body + b"x", limits)


def test_a_large_body_after_a_small_one_and_back() -> None:
    """The memory that a thread keeps between bodies never shows in an answer."""
    small, large = SEEDS[0], b'{"device":"d","ts":1,"s":"%s"}\n' % (b"y" * 200_000) * 25
    for body in (small, large, small):
        assert_same(body)


def test_the_fuzzer_finds_nothing_here() -> None:
    """A short run of the differential fuzzer, which also damages CSV, arrays, Arrow and gzip."""
    report = fuzz(math.inf, seed=7, executions_max=400)
    assert report.failures == []
    assert report.executions == 400


def test_the_fuzzer_finds_a_planted_difference() -> None:
    """A reader that forgets one event in a body of several is caught soon."""

    def forgetful(body: bytes, limits: ParseLimits) -> ParsedBody:
        parsed = parse_ndjson(body, limits)
        return replace(parsed, line=parsed.line[:-1]) if len(parsed.line) > 3 else parsed

    assert fuzz(math.inf, seed=7, reader=forgetful, executions_max=2_000).failures
