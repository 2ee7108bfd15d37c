"""Encoding events as NDJSON: what is parsed back is what was written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import InvalidInputError
from tocsin.events import EventBatch, Strings
from tocsin.ingest.parsing.careful import parse_ndjson_carefully
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ndjson import RESERVED_FIELDS, encode_ndjson

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in RESERVED_FIELDS and not name.startswith("note")
)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53).map(float),
    st.decimals(-10_000, 10_000, places=3).map(float),
).map(lambda value: value + 0.0)
EVENTS = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.integers(-62_135_596_800_000, 253_402_300_799_999),
    st.lists(VALUES | st.none(), min_size=3, max_size=3),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(["", '{"note":"a\\"b"}', '{"note1":[1.0,2.5],"note2":true}']),
    st.integers(0, 2),
)
STREAMS = (("", ""), ("pümps", "1.0"), ('a"b', ""))


def batch_of(
    rows: list[tuple[str, int, list[float | None], str, str, int]], names: tuple[str, ...]
) -> EventBatch:
    present = [(column, value) for row in rows for column, value in enumerate(row[2]) if value is not None]
    counts = [sum(value is not None for value in row[2]) for row in rows]
    return EventBatch(
        device=Strings.of([row[0] for row in rows]),
        ts=np.array([row[1] for row in rows], np.int64),
        flags=np.zeros(len(rows), np.uint8),
        stream=np.array([row[5] for row in rows], np.int32),
        reading_offsets=np.cumsum([0, *counts]).astype(np.int32),
        parameter=np.array([column for column, _ in present], np.int32),
        value=np.array([value for _, value in present], np.float64),
        text=Strings.of([row[4] for row in rows]),
        text_count=np.array([len(json.loads(row[4] or "{}")) for row in rows], np.int32),
        event_id=Strings.of([row[3] for row in rows]),
        names=names,
        streams=STREAMS,
    )


def readings(batch: EventBatch) -> list[tuple[str, str]]:
    """Name and bits of every reading, so that how names are numbered does not matter."""
    return [
        (batch.names[p], v.hex()) for p, v in zip(batch.parameter.tolist(), batch.value.tolist(), strict=True)
    ]


@given(
    rows=st.lists(EVENTS, min_size=1, max_size=20), names=st.lists(NAMES, min_size=3, max_size=3, unique=True)
)
@settings(max_examples=150, deadline=None)
def test_parsing_what_was_encoded_gives_the_same_events(
    rows: list[tuple[str, int, list[float | None], str, str, int]], names: list[str]
) -> None:
    """Every column comes back through the careful and the fast parser, numbers bit by bit."""
    batch = batch_of(rows, tuple(names))
    body = encode_ndjson(batch)
    for parse in (parse_ndjson_carefully, parse_ndjson):
        parsed = parse(body, ParseLimits())
        assert parsed.errors == []
        back = parsed.batch
        assert back.device.tolist() == batch.device.tolist()
        np.testing.assert_array_equal(back.ts, batch.ts)
        np.testing.assert_array_equal(back.reading_offsets, batch.reading_offsets)
        assert readings(back) == readings(batch)
        assert back.text.tolist() == batch.text.tolist()
        assert back.event_id.tolist() == batch.event_id.tolist()
        assert [back.streams[each] for each in back.stream] == [STREAMS[row[5]] for row in rows]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (20.1, "20.1"),
        (-0.05, "-0.05"),
        (3.0, "3"),
        (-1e42, "-1e+42"),
        (0.1 + 0.2, "0.30000000000000004"),
        (2.0**53, "9007199254740992.0"),
        (5e-324, "5e-324"),
    ],
)
def test_numbers_are_short_and_exact(value: float, text: str) -> None:
    """The usual ones without an exponent, none as an integer that a reader would refuse."""
    line = encode_ndjson(batch_of([("d", 0, [value, None, None], "", "", 0)], ("a", "b", "c")))
    assert line == f'{{"device":"d","ts":0,"a":{text}}}\n'.encode()


def test_a_parameter_with_a_name_of_the_event_is_refused() -> None:
    """A column called `id` would silently become something else."""
    with pytest.raises(InvalidInputError, match="'id'"):
        encode_ndjson(batch_of([("d", 0, [1.0, 2.0, 3.0], "", "", 0)], ("a", "id", "c")))
