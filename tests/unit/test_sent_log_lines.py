"""Bodies of log lines: the quick reader is the careful one, whatever stands beside a line."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.ingest.parsing.careful import fields_of_line
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineFault
from tocsin.ingest.parsing.log_line import SentLine, log_line_of
from tocsin.ingest.parsing.log_lines import parse_log_lines, usual

LIMITS = ParseLimits(body_bytes=1 << 20, lines=10_000, line_bytes=400, name_characters=8)
GOOD = b'{"device":"a","component":"c","time":1,"text":"t"}'
NAMES = ("device", "component", "time", "text", "level", "application", "version", "rack", "dev\\u0069ce")
values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["", "a", "a\nb", 'say ":', " : ", "\x00", "é" * 8, "x" * 33]),
    st.sampled_from(["2026-11-22T10:00:00.250Z", "2026-11-22T10:00:60.000Z", "2026-13-22T10:00:00.250Z"]),
    st.sampled_from([0, 1, -1, 10**12, 10**15, 1.5, None, True, [], {}]),
    st.text(max_size=10),
)


def spelled(pairs: list[tuple[str, Any]], before: str, behind: str) -> bytes:
    """An object with these members, one of them perhaps twice, and with space around the colons."""
    members = (f'"{name}"{before}:{behind}{json.dumps(value)}' for name, value in pairs)
    return ("{" + ",".join(members) + "}").encode()


usual_pairs = st.fixed_dictionaries(
    {"device": st.just("a"), "component": st.just("c"), "time": st.just(1), "text": st.just("t")}
).map(lambda fields: list(fields.items()))
pairs = st.builds(
    lambda first, more, order: order.sample(first + more, len(first + more)),
    usual_pairs | st.just([]),
    st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=3),
    st.randoms(use_true_random=False),
)
spaces = st.sampled_from(["", "", "", " ", "\t", " \r"])
lines = st.one_of(
    st.just(GOOD),
    st.builds(spelled, pairs, spaces, spaces),
    st.sampled_from([b"", b" \r", b"[]", b"7", b"{", b'{"device":"a"', b"\xff", GOOD + b" ", GOOD + GOOD]),
)


def carefully(line: bytes) -> SentLine | str:
    """What the careful reader says: the line, or the code of its fault."""
    try:
        return log_line_of(fields_of_line(line, LIMITS), LIMITS)
    except LineFault as fault:
        return fault.code.value


@given(st.lists(lines, min_size=1, max_size=6))
@example([GOOD + GOOD, b""])
@example([b'{"device":"a","device":"b","component" :"c","time":1,"text":"t"}'])
@example([GOOD[:-1] + b',"text":"u"}', GOOD.replace(b'"text":', b'"text" :')])
def test_the_quick_look_at_many_is_the_careful_one_at_each(block: list[bytes]) -> None:
    """It says nothing, or the same of every line: what a line becomes does not hang on its neighbours."""
    found = usual(block, LIMITS)
    if found is not None:
        assert found == [carefully(line) for line in block]


@given(st.lists(lines, max_size=6))
def test_every_line_is_accepted_or_told(block: list[bytes]) -> None:
    """Under its own number, and with the code that the careful reader gives it."""
    parsed = parse_log_lines(b"".join(line + b"\n" for line in block), LIMITS)
    told = {error.line: error.code.value for error in parsed.errors}
    for number, line in enumerate(block, start=1):
        if line.strip(b" \t\r"):
            expected = carefully(line)
            assert told.get(number) == (expected if isinstance(expected, str) else None)
            assert (number in parsed.line.tolist()) == isinstance(expected, SentLine)
    assert parsed.received == len(parsed.batch) + len(parsed.errors)
