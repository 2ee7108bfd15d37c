"""Lines of names and values, of numbered syslog, of glog, and of declared formats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import InvalidInputError
from tocsin.templates.format import declared
from tocsin.templates.miner import Miner
from tocsin.templates.reader import NO_STAMP, Reader

NOON = int(datetime(2026, 1, 5, 12, 0, 1, tzinfo=UTC).timestamp() * 1_000_000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFERENCE = datetime(2026, 1, 6, tzinfo=UTC)


def read(line: bytes, reader: Reader | None = None) -> tuple[int | None, int, bytes, bytes]:
    """Stamp, level, component and text of a line."""
    columns = next(Miner().mine([line], reader or Reader(reference=REFERENCE))).columns()
    stamp = int(columns.stamps_us[0])
    parts = [line[start:end] for start, end in (columns.components[0].tolist(), columns.texts[0].tolist())]
    return None if stamp == NO_STAMP else stamp, int(columns.levels[0]), parts[0], parts[1]


@pytest.mark.parametrize(
    ("line", "stamp", "level", "component", "text"),
    [
        (b'{"time":"2026-01-05T12:00:01Z","level":"warn","msg":"no way"}', NOON, 5, b"", b"no way"),
        (b'{"msg" : "no", "t":1767614401.00025, "LEVEL": "E", "logger":"a.b"}', NOON + 250, 6, b"a.b", b"no"),
        (b'{"@t":"2026-01-05T13:00:01+01:00","@l":"Information","@m":"no\\"w"}', NOON, 3, b"", b'no\\"w'),
        (b'{"level":30,"time":1767614401000,"name":"pump","msg":"no way"}', NOON, 3, b"pump", b"no way"),
        (
            b'{"__REALTIME_TIMESTAMP":"1767614401000000","PRIORITY":"3","SYSLOG_IDENTIFIER":"p","MESSAGE":"no"}',
            NOON,
            6,
            b"p",
            b"no",
        ),
        (b'time=2026-01-05T12:00:01Z level=error msg="no way" volt=3', NOON, 6, b"", b"no way"),
        (b'ts=1767614401 lvl=dbg component=pump msg=no', NOON, 0, b"pump", b"no"),
        (b'2026-01-05T12:00:01Z {"level":"fatal","msg":"no way"}', NOON, 7, b"", b"no way"),
        (b"<165>1 2026-01-05T12:00:01.000003Z host pump 12 ID7 - no way", NOON + 3, 4, b"pump", b"no way"),
        (b'<12>1 2026-01-05T12:00:01Z h p - - [a b="x]\\"y" c="2"][d] \xef\xbb\xbfno', NOON, 5, b"p", b"no"),
        (b"<13>1 - - - - - - no way", None, 4, b"", b"no way"),
        (b"W0105 12:00:01.000007   17 pump.cc:123] no way", NOON + 7, 5, b"pump.cc", b"no way"),
        (b"I20260105 12:00:01.5 17 pump.cc:123] no way", NOON + 500_000, 3, b"pump.cc", b"no way"),
        (b"01-05 12:00:01.250 E/Pump one(  17): no way", NOON + 250_000, 6, b"Pump one", b"no way"),
        (b"12:00:01 no way", NOON, 0, b"", b"no way"),
        (b'{"msg":"no way"', None, 0, b"", b'{"msg":"no way"'),
        (b'{"time":"soon","level":"far","msg":"no way"}', None, 0, b"", b"no way"),
        (b"mode=fast rate=7", None, 0, b"", b"mode=fast rate=7"),
        (b" ", None, 0, b"", b" "),
    ],
)  # fmt: skip
def test_heads_of_fields_are_recognised(
    line: bytes, stamp: int | None, level: int, component: bytes, text: bytes
) -> None:
    """By the usual names, in any order; what is no whole object is text."""
    assert read(line) == (stamp, level, component, text)


def templates(*lines: bytes) -> list[tuple[str, list[str]]]:
    """Template and parameters of each line."""
    miner = Miner()
    parts = list(miner.mine([b"\n".join(lines)]))
    learnt = miner.learnt()
    return [
        (learnt.texts[learnt.number[shape]], learnt.parameters(shape, mined.words_of(line)))
        for mined in parts
        for line, shape in enumerate(mined.shapes.tolist())
    ]


def test_the_other_fields_are_parameters() -> None:
    """Their names are part of the template, their values vary, what is inside other objects is one value."""
    assert templates(
        b'{"volt":3.1,"msg":"valve 7 open","at":{"x":[1,"}"]},"level":"info"}',
        b'msg="valve 8 open" volt=2.9 at=y level=info',
        b'<13>1 - - - - - [o volt="3.0" at="z"] valve 9 open',
        b'{"msg":"valve 7 open","level":"info","flow 2":null}',
    ) == [
        ("valve <*> open volt=<*> at=<*>", ["7", "3.1", '{"x":[1,"}"]}']),
        ("valve <*> open volt=<*> at=<*>", ["8", "2.9", "y"]),
        ("valve <*> open volt=<*> at=<*>", ["9", "3.0", "z"]),
        ("valve <*> open <*>=<*>", ["7", "flow 2", "null"]),
    ]


@pytest.mark.parametrize(
    ("stamp", "reference", "utc"),
    [
        ("Dec 31 23:59:59", "2026-01-01T00:00:05", "2025-12-31T23:59:59"),
        ("Jan  1 11:00:00", "2025-12-31T23:00:00", "2026-01-01T11:00:00"),
        ("Feb 29 12:00:00", "2027-05-01T00:00:00", "2024-02-29T12:00:00"),
        ("23:59:59", "2026-01-01T00:00:05", "2025-12-31T23:59:59"),
    ],
)
def test_what_a_stamp_does_not_say_comes_from_a_reference(stamp: str, reference: str, utc: str) -> None:
    """The last year, or day, that is not beyond it; a device's clock may be up to a day ahead."""
    reader = Reader(reference=datetime.fromisoformat(reference).replace(tzinfo=UTC))
    found, *_ = read(f"{stamp} host pump: no way".encode(), reader)
    assert found is not None
    assert EPOCH + timedelta(microseconds=found) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-01-05 12:00:01", "2026-01-05 11:00:01"),
        ("2026-07-05 12:00:01", "2026-07-05 10:00:01"),
        ("2026-10-25 02:30:00", "2026-10-25 00:30:00"),  # comes twice: the first
        ("2026-03-29 02:30:00", "2026-03-29 01:30:00"),  # does not come: counted on
        ("2026-01-05 12:00:01Z", "2026-01-05 12:00:01"),
    ],
)
def test_stamps_without_a_zone_are_those_of_the_device(wall: str, utc: str) -> None:
    """Summer time as the zone's data say."""
    found, *_ = read(f"{wall} INFO pump: no way".encode(), Reader(zone=ZoneInfo("Europe/Berlin")))
    assert found is not None
    assert EPOCH + timedelta(microseconds=found) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_without_a_reference_a_day_is_not_guessed() -> None:
    """Never guessed."""
    assert read(b"12:00:01 no way", Reader())[0] is None


def test_a_declared_format_is_followed() -> None:
    """Ordered fields with what stands between them; lines that are not of it are messages as a whole."""
    reader = Reader(format=declared("#{level}| {component} |{thread}@{time} > {message}"))
    line = b"#warning|  oil pump |7@2026-01-05T12:00:01Z   > no > way"
    assert read(line, reader) == (NOON, 5, b"oil pump", b"no > way")
    assert read(line[1:], reader) == (None, 0, b"", line[1:])
    assert read(b"2026-01-05T12:00:01Z INFO a: b", reader)[3] == b"2026-01-05T12:00:01Z INFO a: b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{message} more",
        "{time}",
        "{time}{message}",
        "{time} {time} {message}",
        "{Time} {message}",
        "{{message}",
    ],
)
def test_a_wrong_format_is_refused(text: str) -> None:
    """With what is wrong."""
    with pytest.raises(InvalidInputError):
        declared(text)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(b'{ } " : , [ ] \\ = a ts level msg 1767614401 \0 \xff'.split(b" ")), max_size=30
    )
)
def test_broken_fields_break_nothing(parts: list[bytes]) -> None:
    """Any bytes are read; all places lie in the line."""
    line = b"".join(parts).replace(b"\n", b"")
    for mined in Miner().mine(
        [b'{"a":1,' + line, b"\nlevel=" + line + b" msg=" + line, b"\n<1>1 - a b c d [" + line]
    ):
        assert ((mined.heads[:, 3:7] >= 0) & (mined.heads[:, 3:7] <= len(mined.data))).all()
        assert ((mined.words >= 0) & (mined.words <= len(mined.data))).all()
