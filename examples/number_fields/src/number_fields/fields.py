"""The numbers in the lines of a dump, by component, shape of the line and place in it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tocsin.dump_detectors.abstract import Dump, EvidenceLine

LINE_CHARACTERS: Final = 300
SHAPE_CHARACTERS: Final = 120
VALUES_MAX: Final = 4_000
FIELDS_MAX: Final = 1_000
_EXAMPLES: Final = 3
_HALF_AN_HOUR_MS: Final = 1_800_000

_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATE: Final = re.compile(rf"(?:{_MONTHS}) +\d\d?\b")
# a number by itself; not a part of a time, a version, an address or a name, and no long identifier
_NUMBER: Final = re.compile(r"(?<![\w.:/\[+-])[-+]?\d{1,6}(?:\.\d{1,9})?(?![\w.:/\]-]|,\d)")
_OTHER: Final = re.compile(r"[^\s=;,\"'<>\[\](){}|\d]*\d[^\s=;,\"'<>\[\](){}|]*|\b[a-f]{4,}\b")
_BLANKS: Final = re.compile(r"\s+")
_WORD: Final = re.compile(r"[^\W\d]+")

Key = tuple[str, str, int]
"""Component, shape, and which of the numbers of the line, from 0."""


@dataclass(slots=True)
class Numbers:
    """What a field said in one dump: at most 4,000 values, and the lines of the last three."""

    name: str
    values: list[float] = field(default_factory=list)
    lines: deque[EvidenceLine] = field(default_factory=lambda: deque(maxlen=_EXAMPLES))


@dataclass(frozen=True, slots=True)
class Read:
    """All fields of a dump, and the time that it covers."""

    fields: dict[Key, Numbers]
    from_ms: int
    to_ms: int


def numbers_of(text: str) -> tuple[str, list[tuple[str, float]]]:
    """A line's shape, in which numbers are # and other words with digits ~, and its numbers with their names.

    A number's name is the word before it. What stands before the first letter is a stamp, not a number.

    >>> numbers_of("2026-01-05T06:00:01Z <drive> speed=1480 rpm, 31.5 Nm at F7")
    ('~ <drive> speed=# rpm, # Nm at ~', [('speed', 1480.0), ('rpm', 31.5)])
    """
    line = _DATE.sub("~1", text[:LINE_CHARACTERS])
    parts: list[str] = []
    found: list[tuple[str, float]] = []
    end, word = 0, ""
    for match in _NUMBER.finditer(line):
        between = line[end : match.start()]
        words = _WORD.findall(between)
        word = words[-1] if words else word
        parts.append(_OTHER.sub("~", between))
        if word:
            found.append((word, float(match[0])))
            parts.append("#")
        else:
            parts.append("~")
        end = match.end()
    parts.append(_OTHER.sub("~", line[end:]))
    return _BLANKS.sub(" ", "".join(parts))[:SHAPE_CHARACTERS], found


def read_numbers(dump: Dump) -> Read:
    """Read the whole dump; fields beyond a thousand are left out."""
    fields: dict[Key, Numbers] = {}
    stamps: tuple[int, int] | None = None
    for component, member, number, text, ts_ms in _lines(dump):
        if ts_ms is not None:
            stamps = (ts_ms, ts_ms) if stamps is None else (min(stamps[0], ts_ms), max(stamps[1], ts_ms))
        shape, values = numbers_of(text)
        for place, (name, value) in enumerate(values):
            key = (component, shape, place)
            numbers = fields.get(key)
            if numbers is None:
                if len(fields) >= FIELDS_MAX:
                    continue
                numbers = fields[key] = Numbers(name)
            if len(numbers.values) < VALUES_MAX:
                numbers.values.append(value)
                shown = EvidenceLine(member=member, number=number, text=text[:LINE_CHARACTERS])
                numbers.lines.append(shown)
    return Read(fields, *_span(dump, stamps))


def _lines(dump: Dump) -> Iterator[tuple[str, str, int, str, int | None]]:
    for member in dump.members():
        component, name = member.component, member.name
        for line in member.lines():
            yield component, name, line.number, line.text, line.ts_ms


def _span(dump: Dump, stamps: tuple[int, int] | None) -> tuple[int, int]:
    """What the device says of the time, or what its lines say, or half an hour from 0."""
    first_ms, last_ms = stamps or (None, None)
    from_ms = dump.collected_from_ms if dump.collected_from_ms is not None else first_ms
    to_ms = dump.collected_to_ms if dump.collected_to_ms is not None else last_ms
    if from_ms is None or to_ms is None or to_ms <= from_ms:
        start_ms = from_ms or 0
        return start_ms, start_ms + _HALF_AN_HOUR_MS
    return from_ms, to_ms
