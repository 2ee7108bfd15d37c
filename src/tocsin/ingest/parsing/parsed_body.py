"""What parsing makes of one body."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.events import I32, EventBatch
from tocsin.ingest.parsing.line_error import LineError


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """Accepted events with the line each stood on, and what was wrong with the other lines.

    `line[i]` counts from 1 (a line of NDJSON, an element of an array, a row of Arrow, the first line of a
    row of CSV). `errors` are in order of lines. Blank lines count as lines, but not as received:
    received = len(batch) + len(errors).
    """

    batch: EventBatch
    line: I32
    errors: list[LineError]
    received: int
