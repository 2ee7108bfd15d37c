"""What the simulated fleet's dump detector must find: told at once from all dumps that it has seen, in order.

The detector is that of the proof itself (proof/simulation/tally.py says what it does); how its findings are
summed up, and how they become episodes, follows ADR 0041 and DESIGN.md.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import xxhash

from proof.model.digest import names_hash
from proof.model.dumps import Number

DETECTOR = "tally"
_128 = 1 << 128


class Shown(NamedTuple):
    """A dump: its logs in order, each of a component, line by line; and of which span of time."""

    number: Number
    files: tuple[tuple[str, tuple[str, ...]], ...]
    from_ms: int
    to_ms: int


@dataclass(slots=True)
class Span:
    """What people see of a fault: from the first dump that shows it to the one that does not any more."""

    what: str
    started_ms: int
    last_ms: int
    end_ms: int | None = None
    findings: int = 0


@dataclass(slots=True)
class Judged:
    """What is known at the end: findings by dump as canonical JSON, their sum, the state, the episodes."""

    findings: dict[Number, list[bytes]] = field(default_factory=dict)
    digest: int = 0
    state: bytes = b""
    spans: list[Span] = field(default_factory=list)


def judged(tenant: str, device: str, dumps: Sequence[Shown]) -> Judged:
    """What comes of these dumps, given in the order in which they are shown."""
    found = Judged()
    text = ""
    going_on: dict[tuple[str, str], Span] = {}
    for count, dump in enumerate(dumps, start=1):
        lasting: dict[tuple[str, str], Span] = {}
        findings = []
        text = _chained(text, f"{dump.number[0]}.{dump.number[1]}")
        for component, number, line in _lines(dump):
            text = _chained(text, line)
            what = _fault(line)
            if what is None:
                continue
            reason = f"{what} in line {number} of dump {count}: {text[:12]}"
            findings.append(_finding(dump, component, what, reason))
            place = (component, what)
            if place not in lasting and place not in going_on:
                found.spans.append(Span(what, dump.from_ms, dump.to_ms))
                lasting[place] = found.spans[-1]
            elif place in going_on:
                lasting[place] = going_on.pop(place)
            span = lasting[place]
            span.findings += 1
            span.last_ms = max(span.last_ms, dump.to_ms)
        for span in going_on.values():
            span.end_ms = max(dump.from_ms, span.last_ms)
        going_on = lasting
        found.findings[dump.number] = findings
        found.digest = (found.digest + _hash(tenant, device, dump.number, findings)) % _128
        found.state = json.dumps([count, text]).encode()
    return found


def _lines(dump: Shown) -> Iterator[tuple[str, int, str]]:
    for component, lines in dump.files:
        for number, line in enumerate(lines, start=1):
            yield component, number, line


def _fault(line: str) -> str | None:
    """What is at fault, where a line says so: alone, or behind a time and perhaps a level."""
    words = line.split(" ")
    if words[0].endswith("Z"):
        words = words[1:]
        words = words[1:] if words and words[0].isupper() else words
    return words[1] if len(words) == 2 and words[0] == "fault" else None


def _chained(text: str, line: str) -> str:
    return hashlib.sha256(f"{text}{line}\n".encode()).hexdigest()


def _finding(dump: Shown, component: str, what: str, reason: str) -> bytes:
    fields: dict[str, Any] = {
        "component": component,
        "code": "fault",
        "severity": "warning",
        "score": 2.0,
        "from_ms": dump.from_ms,
        "to_ms": dump.to_ms,
        "reason": reason,
        "key": what,
        "evidence": {},
        "lines": [],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _hash(tenant: str, device: str, number: Number, findings: list[bytes]) -> int:
    name = names_hash(tenant, device, DETECTOR, f"{number[0]}.{number[1]}")
    return xxhash.xxh3_128_intdigest(name.to_bytes(16, "little") + b"".join(_prefixed(findings)))


def _prefixed(findings: list[bytes]) -> Iterator[bytes]:
    for finding in findings:
        yield struct.pack("<I", len(finding)) + finding
