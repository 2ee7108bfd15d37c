"""Counting the lines of a dump: the compiled form equals the plain one, however the input is cut."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.log_detector import _tally_kernel as kernel
from tocsin.log_detector import tally as counting
from tocsin.log_detector._tally_reference import PlainTally
from tocsin.log_detector.component_tally import SLOTS_MAX, merged
from tocsin.log_detector.stretch import no_hours
from tocsin.templates.miner import SHAPES_MAX, Miner

FROM_MS = 1_767_600_000_000  # 2026-01-05 08:00 UTC
TO_MS = FROM_MS + 4 * kernel.HOUR_MS
SLOTS = SLOTS_MAX

heads = st.sampled_from(
    [
        b"2026-01-05 09:%02d:07,123 INFO  [worker-1] cell.Cycle - ",
        b"2026-01-05T08:%02d:07.5Z ERROR ",
        b"05.01.2026;13:%02d:01.123;DRV;W;0042;",
        b"<28>Jan  5 10:%02d:01 cell netd[812]: ",
        b"17676%02d000.123 pwr ",
        b"11:%02d:59 WARN ",
        b"",
        b"\tat frame %02d ",
    ]
)
values = st.sampled_from(
    [
        b"3.1",
        b"-7 mm",
        b"12V",
        b"+0.50%",
        b"10.4.0.7",
        b"1e5",
        b"0x1f",
        b"abc",
        b"9" * 17,
        b".",
        b"-",
        b"",
        b"\xff\x00",
    ]
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line in one of many formats, with words that are numbers or nearly."""
    head = draw(heads)
    head = head % draw(st.integers(10, 59)) if b"%" in head else head
    words = draw(st.lists(values, max_size=3))
    return head + draw(st.sampled_from([b"load ", b"speed=", b"ready "])) + b" ".join(words)


def clock_of(from_ms: int, to_ms: int) -> Any:
    """The clock of a dump that says when it was collected, or does not."""
    clock = np.zeros(kernel.CLOCK_FIELDS, np.int64)
    clock[[kernel.FROM_MS, kernel.TO_MS, kernel.LAST_MS]] = from_ms, to_ms, from_ms
    clock[kernel.BASE_MS] = from_ms or -1
    clock[kernel.SLOTS], clock[kernel.PREVIOUS] = SLOTS, -1
    return clock


def compiled(pieces: list[bytes], clock: Any, hours: Any = None) -> tuple[Any, Any]:
    """The tables and examples of the kernel, which counts stamps in `hours`."""
    hours = no_hours() if hours is None else hours
    tables, examples = counting._tables(), counting._examples()
    for mined in Miner(2026).mine(pieces):
        columns = (mined.data, mined.shapes, mined.heads, mined.ends, mined.words, mined.continued)
        kernel.tally_lines(columns, clock, hours, tables, examples, counting.POWERS)
    return tables, examples


def nonzero(table: Any) -> dict[tuple[int, ...], int]:
    """What is not zero in a table, by place; the last shape as -1."""
    return {tuple(place): int(table[tuple(place)]) for place in np.argwhere(table).tolist()}


@settings(max_examples=150, deadline=None)
@given(st.lists(lines(), max_size=30), st.booleans(), st.integers(1, 50))
def test_the_compiled_tally_equals_the_plain_one(rows: list[bytes], says_when: bool, cut: int) -> None:
    """Counts, levels, order, numbers, examples and clock, bit for bit, in pieces of any size."""
    raw = b"\n".join(rows)
    from_ms, to_ms = (FROM_MS, TO_MS) if says_when else (0, 0)
    plain = PlainTally(SLOTS, from_ms, to_ms, base_ms=from_ms or -1)
    for mined in Miner(2026).mine([raw]):
        plain.add(mined)
    clock = clock_of(from_ms, to_ms)
    pieces = [raw[at : at + cut] for at in range(0, len(raw), cut)]
    hours = no_hours()
    (counts, levels, worst, follows, numbers), (texts, sizes, places, _) = compiled(pieces, clock, hours)
    assert nonzero(counts) == {
        (shape % (SHAPES_MAX + 1), slot): n for (shape, slot), n in plain.counts.items()
    }
    assert nonzero(levels) == dict(plain.levels)
    assert nonzero(worst) == {
        (shape % (SHAPES_MAX + 1),): level for shape, level in plain.worst.items() if level
    }
    assert Counter(nonzero(follows)) == plain.follows
    for (shape, place), kept in plain.numbers.items():
        assert numbers[shape, place].tolist() == kept.row()
    for shape, found in plain.examples.items():
        for which, (number, text) in enumerate(found):
            assert places[shape, which] == number
            assert texts[shape, which, : sizes[shape, which]].tobytes() == text
    assert (clock[kernel.LINES], clock[kernel.OFFSET_MS]) == (plain.lines, plain.offset_ms)
    busy = hours[hours[:, kernel.HOUR_LINES] > 0]
    assert sorted(map(tuple, busy.tolist())) == plain.hours()


def test_a_clock_on_the_wall_is_found_out() -> None:
    """Lines an hour ahead of when the dump was collected were written where it is an hour later."""
    clock = clock_of(FROM_MS, FROM_MS + kernel.HOUR_MS // 2)
    compiled([b"05.01.2026;09:05:01.123;DRV;I;0042;belt=212 N\n"], clock)
    assert clock[kernel.OFFSET_MS] == kernel.HOUR_MS


def test_two_halves_of_a_log_give_what_the_whole_gives() -> None:
    """A log that was rotated lies in two members; sums of its numbers come to the same."""
    rng = np.random.default_rng(1)
    rows = [f"2026-01-05T08:00:00Z INFO belt {value:.2f} N".encode() for value in rng.normal(200, 3, 100)]
    whole = compiled([b"\n".join(rows)], clock_of(FROM_MS, TO_MS))[0][4][0, 1]
    first = compiled([b"\n".join(rows[:40])], clock_of(FROM_MS, TO_MS))[0][4][0, 1]
    second = compiled([b"\n".join(rows[40:])], clock_of(FROM_MS, TO_MS))[0][4][0, 1]
    both = merged(first, second)
    np.testing.assert_allclose(both, whole, rtol=1e-9)
