"""Lines of names and values, plainly: what the compiled form must equal for any bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tocsin.templates._header_kernel import COMPONENT_BYTES_MAX
from tocsin.templates._header_reference import LETTERS, OF_SYSLOG, Head, level_word
from tocsin.templates._pairs_kernel import (
    NAME_BYTES_MAX,
    NAMES,
    OF_COMPONENT,
    OF_LEVEL,
    OF_TEXT,
    OF_TIME,
    PAIRS_MAX,
)
from tocsin.templates._stamp_kernel import UTC
from tocsin.templates._stamp_reference import Stamp, stamp_at

Span = tuple[int, int]
_STRING: Final = re.compile(rb'"((?:\\.|[^"\\])*)"', re.DOTALL)
_SCALAR: Final = re.compile(rb'[^ \t\r\n",\[\]{}]+')
_SPACES: Final = re.compile(rb"[ \t\r\n]*")
_COLON: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_PAIR: Final = re.compile(
    rb'([A-Za-z\x80-\xff0-9./@_-]+)=(?:"((?:\\.|[^"\\])*)"|([^ \t\r\n"]*))(?![^ \t\r\n])[ \t\r\n]*', re.DOTALL
)
_ELEMENT: Final = re.compile(rb'\[((?:[^\]"]|"(?:\\.|[^"\\])*")*)\]', re.DOTALL)
_PLAIN_NAME: Final = re.compile(rb"[^\x00-\x20\x7f0-9]{1,%d}" % NAME_BYTES_MAX)
_LEVELS_OF_TENS: Final = {b"10": 1, b"20": 2, b"30": 3, b"40": 5, b"50": 6, b"60": 7}


class Pair(NamedTuple):
    """A name and a value, as places in the line."""

    name: Span
    value: Span


class Fields(NamedTuple):
    """The pairs that are parameters, and the part of the line that is mined."""

    rest: list[Pair]
    text: Span


def fields_of(line: bytes, head: Head) -> Fields | None:
    """The pairs of a message that consists of them, their part of the head taken over; None = it does not."""
    start = head.message
    is_object = line[start : start + 1] == b"{"
    if is_object:
        pairs = _object(line, start)
    elif head.kind or b"=" not in re.split(rb"[ \t\r\n]", line[start:], maxsplit=1)[0][1:]:
        return None
    else:
        pairs = _equals(line, start, len(line))
        pairs = pairs if pairs and len(pairs) > 1 else None
    if pairs is None:
        return None
    pairs = pairs[:PAIRS_MAX]
    time = None if head.stamp else _best(line, pairs, OF_TIME)
    stamp = _stamp(line, time) if time else None
    level = None if head.level else _best(line, pairs, OF_LEVEL)
    told = _best(line, pairs, OF_TEXT)
    said = _level(line[slice(*level.value)]) if level else 0
    if not is_object and not stamp and not said and not told:
        return None
    head.stamp, head.level = stamp or head.stamp, said or head.level
    name = None if head.named else _best(line, pairs, OF_COMPONENT)
    if name and not _names(line[slice(*name.value)]):
        name = None
    head.component = name.value if name else head.component
    taken = (time if stamp else None, level if said else None, told, name)
    rest = [pair for pair in pairs if not any(pair is each for each in taken)]
    return Fields(rest, told.value if told else (start, start))


def structured_of(line: bytes, head: Head) -> list[Pair]:
    """The pairs of the structured data that a message by RFC 5424 begins with; it then begins behind them."""
    at, pairs = head.message, list[Pair]()
    if re.match(rb"-(?: |\Z)", line[at : at + 2]):
        at += 1
    while found := _ELEMENT.match(line, at):
        name = re.compile(rb"[^ \t\r\n]*").match(line, at)
        if name and name.end() < found.end() - 1:
            pairs += _equals(line, name.end(), found.end() - 1) or []
        at = found.end()
    at = _behind(_SPACES, line, at)
    head.message = at + 3 if line[at : at + 3] == b"\xef\xbb\xbf" else at
    return pairs[:PAIRS_MAX]


def tokens_of_pairs(line: bytes, pairs: list[Pair]) -> Iterator[tuple[int, bytes]]:
    """Names and values as tokens of a masked text."""
    for pair in pairs:
        name = line[slice(*pair.name)]
        yield from ((2, name if _PLAIN_NAME.fullmatch(name) else b"\0"), (3, b"="), (1, b"\0"))


def _behind(pattern: re.Pattern[bytes], line: bytes, at: int) -> int:
    found = pattern.match(line, at)
    return found.end() if found else -1


def _object(line: bytes, at: int) -> list[Pair] | None:
    pairs: list[Pair] = []
    at = _behind(_SPACES, line, at + 1)
    while name := _STRING.match(line, at):
        value = _behind(_COLON, line, name.end())
        until = _value_end(line, value) if value >= 0 else -1
        if until < 0:
            return None
        quoted = line[value] == 34
        pairs.append(Pair(name.span(1), (value + quoted, until - quoted)))
        at = _behind(_SPACES, line, until)
        if line[at : at + 1] == b"}":
            break
        if line[at : at + 1] != b",":
            return None
        at = _behind(_SPACES, line, at + 1)
        if line[at : at + 1] == b"}":
            return None
    return pairs if re.compile(rb"\}[ \t\r\n]*\Z").match(line, at) else None


def _value_end(line: bytes, at: int) -> int:
    if line[at : at + 1] == b'"':
        return _behind(_STRING, line, at)
    if line[at : at + 1] not in (b"[", b"{"):
        return _behind(_SCALAR, line, at)
    depth = 0
    while at < len(line):
        if line[at] == 34:
            at = _behind(_STRING, line, at)
            if at < 0:
                return -1
            continue
        depth += (line[at] in b"[{") - (line[at] in b"]}")
        at += 1
        if depth == 0:
            return at
    return -1


def _equals(line: bytes, at: int, end: int) -> list[Pair] | None:
    pairs, line = [], line[:end]
    at = _behind(_SPACES, line, at)
    while at < end:
        found = _PAIR.match(line, at)
        if not found:
            return None
        pairs.append(Pair(found.span(1), found.span(2) if found[2] is not None else found.span(3)))
        at = found.end()
    return pairs


def _best(line: bytes, pairs: list[Pair], role: int) -> Pair | None:
    names = NAMES[role].split()
    known = [
        (names.index(name), pair)
        for pair in pairs
        if (name := line[slice(*pair.name)].lower().decode("latin-1")) in names
    ]
    return min(known, key=lambda each: each[0])[1] if known else None


def _stamp(line: bytes, pair: Pair) -> Stamp | None:
    start, end = pair.value
    value = line[start:end]
    if re.fullmatch(rb"[0-9]{16}|[0-9]{19}", value):
        return Stamp(end, UTC, since_1970_us=int(value[:16]))
    stamp = stamp_at(line[:end], start, True) if value else None
    return stamp if stamp and stamp.until == end else None


def _level(value: bytes) -> int:
    if len(value) == 1:
        return OF_SYSLOG[int(value)] if value in b"01234567" else LETTERS.get(value[0], 0)
    return _LEVELS_OF_TENS.get(value, 0) or level_word(value)


def _names(value: bytes) -> bool:
    return 0 < len(value) <= COMPONENT_BYTES_MAX and value[:1] not in (b"[", b"{")
