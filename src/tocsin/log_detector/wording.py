"""Findings in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.dump_detectors.abstract import EvidenceLine, Finding
from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import Row
from tocsin.model import Severity
from tocsin.templates._header_kernel import ERROR, WARNING

Facts = Mapping[str, str | int | float | bool]
SHOWN_CHARACTERS: Final = 90
SERIOUS: Final = 3.0
STRANGE: Final = 1.5


def finding(
    counted: Counted,
    component: str,
    code: str,
    score: float,
    reason: str,
    *,
    key: str = "",
    level: int = 0,
    facts: Facts | None = None,
    lines: Sequence[EvidenceLine] = (),
) -> Finding:
    """A finding of the whole dump; its severity follows from score and level."""
    return Finding(
        component=component,
        code=code,
        severity=severity(score, level),
        score=round(score, 3),
        from_ms=counted.from_ms,
        to_ms=counted.to_ms,
        reason=reason,
        key=key,
        evidence=dict(facts or {}),
        lines=tuple(lines),
    )


def severity(score: float, level: int) -> Severity:
    """Critical: an error that is rare, or what is very rare; info: what is just rare, without a level."""
    if (level >= ERROR and score > STRANGE) or score > SERIOUS:
        return Severity.CRITICAL
    return Severity.WARNING if level >= WARNING or score > STRANGE else Severity.INFO


def quoted(text: str) -> str:
    """For a sentence: short, and as a text of JSON, so that nothing in it acts."""
    shown = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return json.dumps(shown, ensure_ascii=False)


def name_of(row: Row) -> str:
    """How a sentence names what a row counts."""
    return {
        "all": "all lines together",
        "warnings": "lines with a warning",
        "errors": "lines with an error or worse",
    }.get(row.id, quoted(row.text))


def times(count: float, usual: float, hours: float) -> str:
    """How often something came, and how often it should have."""
    said = "did not come" if count == 0 else f"came {often(count)}"
    return f"{said} in {hours:.1f} h, where {usual:.1f} are usual"


def often(count: float) -> str:
    """A number of times."""
    return "once" if count == 1 else f"{count:.0f} times"
