"""NDJSON read by the compiled scanner, with the careful reader for every line that it does not take."""

from __future__ import annotations

import numpy as np

from tocsin.events import I32, I64
from tocsin.ingest.parsing.batch_building import batch_of
from tocsin.ingest.parsing.careful import read_line
from tocsin.ingest.parsing.event import Event
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError
from tocsin.ingest.parsing.merging import merge_by_line, renumber
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.parsing.scanned import EVENTS, scan


def parse_ndjson(body: bytes, limits: ParseLimits) -> ParsedBody:
    """What parse_ndjson_carefully answers, at the speed of a compiled scanner for lines of the usual kind."""
    return parse_lines(body, limits, source=body, may_be_cut=True)


def parse_lines(body: bytes, limits: ParseLimits, *, source: bytes, may_be_cut: bool) -> ParsedBody:
    """Events of the lines of `body`; the careful reader finds the same line in `source`, byte by byte.

    `may_be_cut` says that a last line without a line end may have been longer.
    """
    found = scan(body, limits, EVENTS)
    batch, line = found.batch, found.line
    if len(found.handed) == 0:
        return ParsedBody(batch, line, [], len(batch))
    events, event_line, errors = _read_carefully(source, found.handed, limits, may_be_cut)
    if events:
        batch, line = merge_by_line(batch, line, batch_of(events), event_line)
    else:
        batch = renumber(batch)
    return ParsedBody(batch, line, errors, len(batch) + len(errors))


def _read_carefully(
    source: bytes, handed: I64, limits: ParseLimits, may_be_cut: bool
) -> tuple[list[Event], I32, list[LineError]]:
    """The events and errors of the lines that the scanner handed over, given as (start, end, line)."""
    events: list[Event] = []
    lines: list[int] = []
    errors: list[LineError] = []
    for start, end, number in handed.tolist():
        outcome = read_line(number, source[start:end], limits, cut=may_be_cut and end == len(source))
        if isinstance(outcome, LineError):
            errors.append(outcome)
        else:
            events.append(outcome)
            lines.append(number)
    return events, np.array(lines, np.int32), errors
