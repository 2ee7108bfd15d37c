"""Lines that differ from others in their digits alone: what is remembered of those changes nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.template_kit import FORMATS, LINES, assert_reads_as_the_plain_form, rows
from tocsin.templates import miner as miner_module
from tocsin.templates._recall_kernel import ENTRY_BYTES_MAX, FIRST
from tocsin.templates.format import Format, declared
from tocsin.templates.miner import SHAPES_MAX, Miner
from tocsin.templates.reader import Reader

DIGIT = re.compile(rb"[0-9]")
NUMBERED = declared("{time} 1{level} {message}")
USUAL = (
    b"2026-01-05 12:00:01,123 INFO  [worker-1] cell.Recipe - pressing at 41.6 kN",
    b"05.01.2026;12:00:01.123;DRV;I;0042;speed=1485 rpm;torque=30.0 Nm",
    b'{"t":"2026-01-05T12:00:01.5Z","level":30,"msg":"image 757123 in 43.7 ms","ms":43.7}',
    b'{"ts":1767614401000000,"lvl":"warn","msg":"a 10.1.2.3:80 b"}',
    b"<13>1 2026-01-05T12:00:01Z host app 12 - - queue 17 of 99",
    b"<28>Jan  5 10:12:01 cell netd[812]: up 1",
    b'ts=12:00:01 level=3 msg="took 12 ms" code=0x1f',
    b"1767614401.25 Mon Jan  5 12:00:01 2026 door 0000-00-00 17",
    b"retry 3 of 17",
)


@st.composite
def with_other_digits(draw: st.DrawFn) -> list[bytes]:
    """Some lines, again and again, and each time with other digits at some places."""
    lines = draw(st.lists(st.one_of(LINES, st.sampled_from(USUAL)), min_size=1, max_size=4))
    found = []
    for _ in range(draw(st.integers(2, 14))):
        line = draw(st.sampled_from(lines))
        places = [found.start() for found in DIGIT.finditer(line)]
        changed = draw(st.sets(st.sampled_from(places), max_size=6)) if places else set()
        raw = bytearray(line)
        for place in sorted(changed):
            raw[place] = draw(st.sampled_from(b"0192356"))
        found.append(bytes(raw))
    return found


@settings(deadline=None, max_examples=400)
@given(with_other_digits(), st.sampled_from([*FORMATS, NUMBERED]), st.sampled_from([4, 64]))
@example([b"2026-01-05 a", b"0000-01-05 a", b"12:00:01 0000-01-05", b"12:00:01 2026-01-05"], FORMATS[0], 64)
@example([b"2026-01-05 12:00:01 1INFO a", b"2026-01-05 12:00:01 2INFO a"], NUMBERED, 64)
@example([b"<13>1 - h a - - a 1", b"<11>1 - h a - - a 1", b"<13>2 - h a - - a 1"], FORMATS[0], 64)
def test_lines_with_other_digits_are_read_as_if_they_were_the_first(
    lines: list[bytes], form: Format, shapes: int
) -> None:
    """Stamps, levels, components, texts, words, shapes and counts are those of the plain form."""
    assert_reads_as_the_plain_form(lines, form, shapes)


def test_a_date_alone_is_its_midnight_whatever_lines_came_before() -> None:
    """Read anew and recalled, behind a line with a time of its own."""
    lines = [b'time=12:13:14 msg="a 1"', b'date=2026-01-06 msg="b 2"', b'date=2026-01-07 msg="b 3"']
    found = [each[2] for mined in Miner(2026).mine([b"\n".join(lines * 2)]) for each in rows(mined)]
    assert found[1:3] == found[4:] == [1_767_657_600_000_000, 1_767_744_000_000_000]


def test_what_finds_no_room_is_forgotten_and_lines_become_the_same() -> None:
    """Ten thousand lines of as many skeletons, twice, in a room for a few."""
    lines = [b"2026-01-05T12:00:01Z INFO %s took %d ms" % (_letters(n), n) for n in range(10_000)]
    raw = b"\n".join(lines * 2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(miner_module, "RECALL_BYTES", FIRST + 2 * ENTRY_BYTES_MAX)
        little = [each for mined in Miner(2026).mine([raw]) for each in rows(mined)]
    assert little == [each for mined in Miner(2026).mine([raw]) for each in rows(mined)]
    assert {each[0] for each in little} == set(range(min(len(lines), SHAPES_MAX)))


def test_a_format_that_is_declared_later_reads_known_lines_anew() -> None:
    """One miner, the same line, read as it is recognised, by a format, and as it is recognised again."""
    line = b"2026-01-05 12:00:01 ERROR pump: dry 12"
    miner = Miner(2026)
    readers = [Reader(), Reader(format=declared("{time} {component} {message}")), Reader()]
    found = [rows(next(miner.mine([line], reader))) for reader in readers for _ in range(2)]
    assert found[0] == found[1] == found[4] == found[5]
    assert found[2] == found[3] != found[0]


def _letters(number: int) -> bytes:
    """A word for each number."""
    return bytes(97 + number // 26**place % 26 for place in range(4))
