"""NDJSON read plainly, line by line: the definition that the fast reader must equal."""

from __future__ import annotations

import numpy as np

from tocsin.errors import TooLargeError
from tocsin.ingest.parsing.batch_building import batch_of
from tocsin.ingest.parsing.event import Event, event_of
from tocsin.ingest.parsing.json_reader import JsonValue, read_json
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault
from tocsin.ingest.parsing.parsed_body import ParsedBody


def parse_ndjson_carefully(body: bytes, limits: ParseLimits) -> ParsedBody:
    """Every line by itself; a last line without a line end may be one that was cut off."""
    lines = body.split(b"\n")
    events: list[Event] = []
    numbers: list[int] = []
    errors: list[LineError] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip(b" \t\r"):
            continue
        outcome = read_line(number, line, limits, cut=number == len(lines))
        if isinstance(outcome, LineError):
            errors.append(outcome)
        else:
            events.append(outcome)
            numbers.append(number)
        if len(events) + len(errors) > limits.lines:
            raise too_many_lines(limits)
    return ParsedBody(batch_of(events), np.array(numbers, np.int32), errors, len(events) + len(errors))


def read_line(number: int, line: bytes, limits: ParseLimits, *, cut: bool) -> Event | LineError:
    """The event of a line that is not blank, or why it is none.

    `cut` says that no line end follows: if its JSON is right as far as it goes, the rest is missing.
    """
    try:
        return _event_of_line(line, limits)
    except LineFault as fault:
        return as_cut(fault, cut=cut).at(number, line)


def as_cut(fault: LineFault, *, cut: bool) -> LineFault:
    """The fault as it is told of a last line, of which the rest may be missing."""
    if cut and fault.unfinished:
        return LineFault(LineCode.TRUNCATED_LINE, fault.message, fault.field)
    return fault


def too_many_lines(limits: ParseLimits) -> TooLargeError:
    """The answer to a body with more lines than one may have."""
    return TooLargeError(f"The body has more than {limits.lines} lines; send it in parts.")


def _event_of_line(line: bytes, limits: ParseLimits) -> Event:
    return event_of(fields_of_line(line, limits), limits)


def fields_of_line(line: bytes, limits: ParseLimits) -> dict[str, JsonValue]:
    """The fields of a line that is one JSON object; LineFault says what else it is."""
    if len(line) > limits.line_bytes:
        message = f"The line has {len(line)} bytes, {limits.line_bytes} are allowed"
        raise LineFault(LineCode.LINE_TOO_LONG, message)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        message = f"Byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8"
        cut = error.end == len(line) and error.reason == "unexpected end of data"
        raise LineFault(LineCode.INVALID_UTF8, message, unfinished=cut) from None
    fields = read_json(text, limits.depth)
    if not isinstance(fields, dict):
        raise LineFault(LineCode.NOT_AN_OBJECT, "The line is JSON, but not an object")
    return fields
