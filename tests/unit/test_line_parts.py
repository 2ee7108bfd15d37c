"""Lines of logs are cut into their parts alike, by the compiled reader and by the decoder of JSON."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import CorruptError
from tocsin.events import Strings
from tocsin.log_lines import LogLine, encode_line
from tocsin.runtimes.embedded import log_block
from tocsin.runtimes.embedded.log_block import LineParts, parts_decoded, parts_of

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LINES = st.builds(
    LogLine,
    component=WORDS,
    text=WORDS
    | st.sampled_from(['"', "\\", '","level":"x"}', "a\nb\r\n", "\t\b\f", "\x00", "\x1b[0m", "Ω/ß"]),
    level=WORDS | st.just(""),
    fields=st.just({}) | st.just({"trace": "x"}),
)


def column(encoded: list[bytes]) -> Strings:
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    return Strings(offsets, np.frombuffer(b"".join(encoded), np.uint8))


def told(parts: LineParts) -> tuple[bytes, list[int], list[str], list[str]]:
    size = int(parts.text_ends[-1]) if len(parts.text_ends) else 0
    return (
        parts.text[:size].tobytes(),
        parts.text_ends.tolist(),
        parts.component.tolist(),
        parts.level.tolist(),
    )


@settings(deadline=None)
@given(st.lists(LINES, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_both_readers_give_the_same(lines: list[LogLine], chosen: list[bool]) -> None:
    """Of any rows, whatever characters are in the lines."""
    encoded = column([encode_line(line) for line in lines])
    rows = np.flatnonzero(np.array(chosen[: len(lines)], np.bool_)).astype(np.int64)
    found = parts_of(encoded, rows)
    assert told(found) == told(parts_decoded(encoded, rows))
    wanted = [lines[row] for row in rows.tolist()]
    assert told(found)[0] == b"".join(line.text.encode() + b"\n" for line in wanted)
    assert told(found)[2:] == ([line.component for line in wanted], [line.level for line in wanted])


def test_usual_lines_are_read_by_the_compiled_reader_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a level, with quotes and several lines in a text."""
    monkeypatch.setattr(log_block, "parts_decoded", None)
    lines = [LogLine("door", 'said "closed"\n\tat x', "WARN"), LogLine("drive", "5 Ω"), LogLine("a", "")]
    found = parts_of(column([encode_line(line) for line in lines]), np.arange(3))
    assert found.component.tolist() == ["door", "drive", "a"]


@pytest.mark.parametrize("cut", range(1, 51))
def test_a_line_that_is_cut_off_is_corrupt(cut: int) -> None:
    """Wherever that is."""
    whole = encode_line(LogLine("door", "closed", "INFO"))
    assert len(whole) == 51
    with pytest.raises(CorruptError):
        parts_of(column([whole[:cut]]), np.arange(1))
