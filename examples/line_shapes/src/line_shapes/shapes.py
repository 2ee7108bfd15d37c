"""What lines have in common: their text with everything that holds a digit masked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from tocsin.dump_detectors.abstract import Dump, EvidenceLine

LINE_CHARACTERS: Final = 300
SHAPE_CHARACTERS: Final = 120
SHAPES_MAX: Final = 2_000
EXAMPLES_MAX: Final = 3
_HOUR_MS: Final = 3_600_000
_UNKNOWN_HOURS: Final = 0.5

_BREAKS: Final = r"\s=;,\"'<>\[\](){}|"
_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MASKED: Final = re.compile(rf"(?:{_MONTHS}) +\d\d?\b|[^{_BREAKS}\d]*\d[^{_BREAKS}]*|\b[a-f]{{4,}}\b")
_BLANKS: Final = re.compile(r"\s+")


def shape_of(text: str) -> str:
    """The line's shape: dates, words that hold a digit, and hexadecimal ones without, become #.

    >>> shape_of("2026-01-05T06:00:01Z speed=1480 rpm, crc beef")
    '# speed=# rpm, crc #'
    >>> shape_of("<30>Jan  5 07:00:01 cell netd[812]: up"), shape_of("<30>Feb 15 07:00:01 cell netd[9]: up")
    ('<#># # cell netd[#]: up', '<#># # cell netd[#]: up')
    """
    masked = _MASKED.sub("#", text[:LINE_CHARACTERS])
    return _BLANKS.sub(" ", masked)[:SHAPE_CHARACTERS]


@dataclass(slots=True)
class Seen:
    """How often a shape came in one dump, with its first lines."""

    component: str
    shape: str
    count: int
    lines: list[EvidenceLine]


@dataclass(frozen=True, slots=True)
class Counted:
    """A dump as counts of shapes, and the time that it covers."""

    seen: dict[int, Seen]
    from_ms: int
    to_ms: int

    @property
    def hours(self) -> float:
        """At least a minute: a rate needs a time."""
        return max((self.to_ms - self.from_ms) / _HOUR_MS, 1 / 60)


def shape_id(component: str, shape: str) -> int:
    """A number for a component's shape that is the same everywhere."""
    digest = hashlib.blake2b(f"{component}\0{shape}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def count_shapes(dump: Dump) -> Counted:
    """Read the whole dump. Beyond 2,000 shapes all others of a component count as one."""
    ids: dict[tuple[str, str], int] = {}
    seen: dict[int, Seen] = {}
    first_ms: int | None = None
    last_ms: int | None = None
    for member in dump.members():
        component, name = member.component, member.name
        for line in member.lines():
            if line.ts_ms is not None:
                first_ms = line.ts_ms if first_ms is None else min(first_ms, line.ts_ms)
                last_ms = line.ts_ms if last_ms is None else max(last_ms, line.ts_ms)
            shape = shape_of(line.text)
            number = ids.get((component, shape))
            if number is None:
                if len(ids) >= SHAPES_MAX:
                    shape = "(any other line)"
                number = ids[component, shape] = shape_id(component, shape)
                seen.setdefault(number, Seen(component, shape, 0, []))
            found = seen[number]
            found.count += 1
            if found.count <= EXAMPLES_MAX:
                text = line.text[:LINE_CHARACTERS]
                found.lines.append(EvidenceLine(member=name, number=line.number, text=text))
    return Counted(seen, *_span(dump, first_ms, last_ms))


def _span(dump: Dump, first_ms: int | None, last_ms: int | None) -> tuple[int, int]:
    """What the device says of the time, or what its lines say, or half an hour."""
    from_ms = dump.collected_from_ms if dump.collected_from_ms is not None else first_ms
    to_ms = dump.collected_to_ms if dump.collected_to_ms is not None else last_ms
    if from_ms is None or to_ms is None or to_ms <= from_ms:
        start_ms = from_ms or 0
        return start_ms, start_ms + round(_UNKNOWN_HOURS * _HOUR_MS)
    return from_ms, to_ms
