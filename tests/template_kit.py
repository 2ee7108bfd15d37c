"""Lines of logs of any kind, and what the compiled miner makes of them compared with the plain one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st

from tocsin.templates import miner as miner_module
from tocsin.templates._mine_reference import Line, PlainMiner, read_line
from tocsin.templates.format import RECOGNISED, Format, declared
from tocsin.templates.mined import Mined
from tocsin.templates.miner import POOL_BYTES_MAX, Miner
from tocsin.templates.reader import Reader

STAMPS = (
    b"2026-01-05 12:00:01|2026-01-05T12:00:01.5+01:00|2026-01-05|12:00:01|Jan  5 12:00:01"
    b"|05/Jan/2026:12:00:01|Mon Jan  5 12:00:01 2026|I0102 12:00:01|W20260102 12:00:01.000001|1767614401"
    b"|1767614401.25|1767614401123"
    b"|05.01.2026;12:00:01|260105 120001|20260105-12:00:01:007|01-05 12:00:01|<13>"
    b"|<13>1 -|<13>1 2026-01-05T12:00:01Z"
).split(b"|")  # fmt: skip
PARTS = (
    b"1~[~]~(~)~ ~ ~  ~\t~:~: ~ - ~-~,~|~;~INFO~WARN~Warning~E~E/Pump(12):~E/Pump: ~host"
    b"~a.b.C~pump[12]:~pump.cc:12]~<door>~KERNEL~R1~17~*64~#~x=y~[main]~[a:error]~[x y]~Information"
    b"~error~/~{~\xff~\0~at~user~\"GET /a\"~a.b:80"
).split(b"~")  # fmt: skip
FIELDS = (
    b'"msg":"a b"~"a":1~"ts":1767614401~"t":"12:00:01"~"level":30~"level":"warn"~"logger":"q"~"Name":"x"'
    b'~"n ":[{"a":"]"}]~"":null~"a1":"\\""~"ts":1767614401000000~"ts":"2026-01-05"~a~"msg"'
).split(b"~")
EQUALS = b'msg="a b"~a=1~ts=1767614401~level=err~lvl=~logger=q~n="\\""~event=x~ts=2026-01-05~=~a'.split(b"~")
FORMATS = [RECOGNISED, declared("{time} {level} {component}: {message}"), declared("[{level}]{x} {message}")]

_TEXT = st.lists(st.sampled_from([*PARTS, *STAMPS]), max_size=10).map(b"".join)
LINES = st.one_of(
    _TEXT,
    st.binary(max_size=80),
    st.tuples(st.sampled_from(STAMPS), _TEXT).map(b" ".join),
    st.lists(st.sampled_from(FIELDS), max_size=5).map(lambda some: b"{" + b",".join(some) + b"}"),
    st.lists(st.sampled_from(EQUALS), max_size=5).map(b" ".join),
    st.tuples(st.sampled_from(EQUALS), _TEXT).map(lambda two: b"<13>1 - h a - - [id %s] %s" % two),
).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))


def assert_reads_as_the_plain_form(lines: Sequence[bytes], form: Format, shapes: int) -> None:
    """Stamps, levels, components, texts, words, shapes and counts are the same in room for so many shapes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(miner_module, "SHAPES_MAX", shapes)
        miner = Miner(2026)
    plain = PlainMiner(shapes, POOL_BYTES_MAX)
    raw = b"".join(line + b"\n" for line in lines)
    found = [each for mined in miner.mine([raw], Reader(format=form)) for each in rows(mined)]
    read = [read_line(line, form) for line in lines]
    assert found == [_row(line, each, *plain.add(each, line)) for line, each in zip(lines, read, strict=True)]
    assert miner.texts() == list(plain.numbers)
    assert miner.counts() == [plain.counts[shape] for shape in range(len(plain.numbers))]


def _row(raw: bytes, line: Line, shape: int, continued: bool) -> tuple[object, ...]:
    """What the plain form says of a line."""
    head = line.head
    us = head.stamp.us(2026, 0) if head.stamp else 0
    parts = [raw[start:end] for start, end in (head.component, (head.message, len(raw)), line.text)]
    kind = head.stamp.kind if head.stamp else 0
    return shape, continued, us, us // 1000, kind, head.level, parts, [] if continued else line.words


def rows(mined: Mined) -> list[tuple[object, ...]]:
    """What the compiled form says of lines."""
    found: list[tuple[object, ...]] = []
    for line, head in enumerate(mined.heads.tolist()):
        parts = [mined.data[head[at] : head[at + 1]].tobytes() for at in (3, 5, 8)]
        shape, continued = int(mined.shapes[line]), bool(mined.continued[line])
        found.append((shape, continued, head[7], head[0], head[1], head[2], parts, mined.words_of(line)))
    return found
