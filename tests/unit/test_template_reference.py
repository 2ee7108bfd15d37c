"""The compiled reader, masks and table against their plain forms, on generated lines of any bytes."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.template_kit import FORMATS, LINES, assert_reads_as_the_plain_form
from tocsin.templates._mine_reference import read_line
from tocsin.templates.format import RECOGNISED, Format
from tocsin.templates.stamped import stamped


@settings(deadline=None, max_examples=300)
@given(st.lists(LINES, max_size=12), st.sampled_from(FORMATS), st.sampled_from([4, 64]))
@example([b'{"ts":1767614401,"msg":"a","x":[1]}', b"time=12:00:01 msg=b"] * 9, FORMATS[0], 4)
@example([b"12:00:01 2026-01-05 a", b"12:00:01 2026-01-05 99:00:00 a"], FORMATS[0], 4)
def test_the_compiled_reader_equals_the_plain_one(lines: list[bytes], form: Format, shapes: int) -> None:
    """Stamps, levels, components, texts, words, shapes and counts are the same, even in a full table."""
    assert_reads_as_the_plain_form(lines, form, shapes)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(LINES, min_size=1, max_size=3).map(b"\n".join), max_size=8))
def test_whether_texts_have_a_time_is_what_the_plain_reader_says_of_their_first_lines(
    texts: list[bytes],
) -> None:
    """For any bytes, whatever stands in the texts beside them."""
    first = [text.split(b"\n")[0] for text in texts]
    said = [read_line(line, RECOGNISED).head.stamp is not None for line in first]
    assert stamped(texts).tolist() == said
