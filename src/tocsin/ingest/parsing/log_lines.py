"""Bodies of log lines, one JSON object a line: a quick look at each, a careful one where that says no."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from tocsin.ingest.parsing.careful import as_cut, fields_of_line, too_many_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError, LineFault, LineForm
from tocsin.ingest.parsing.log_batch import batch_of_lines
from tocsin.ingest.parsing.log_line import LEVEL_CHARACTERS_MAX, NAMED, SentLine, log_line_of
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.parsing.timestamp import in_range
from tocsin.log_lines import LogLine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line with the named fields alone."""

    device: str
    time: str | int
    component: str
    text: str
    level: str = ""
    application: str = ""
    version: str = ""


_USUAL: Final = msgspec.json.Decoder(_Usual)
_KEYS: Final = tuple(f'"{name}"'.encode() for name in NAMED)


def parse_log_lines(body: bytes, limits: ParseLimits) -> ParsedBody:
    """The lines as events without readings, and what is wrong with the others; about 3 µs a line."""
    lines = body.split(b"\n")
    sent: list[SentLine] = []
    numbers: list[int] = []
    errors: list[LineError] = []
    for number, line in enumerate(lines, start=1):
        found: SentLine | LineError | None = usual(line, limits)
        if found is None:
            if not line.strip(b" \t\r"):
                continue
            found = _carefully(number, line, limits, cut=number == len(lines))
        if isinstance(found, LineError):
            errors.append(found)
        else:
            sent.append(found)
            numbers.append(number)
        if len(sent) + len(errors) > limits.lines:
            raise too_many_lines(limits)
    return ParsedBody(batch_of_lines(sent), np.array(numbers, np.int32), errors, len(sent) + len(errors))


def usual(line: bytes, limits: ParseLimits) -> SentLine | None:
    """The line if it is plainly good; None says nothing, the careful reader has to look.

    Keys that stand twice are looked for as they are written, so a value equal to a key is looked at again.
    """
    if len(line) > limits.line_bytes:
        return None
    try:
        found = _USUAL.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    time_ms = _time_ms(found.time)
    names_fit = (
        0 < len(found.device) <= limits.name_characters
        and 0 < len(found.component) <= limits.name_characters
        and len(found.level) <= LEVEL_CHARACTERS_MAX
        and len(found.application) <= limits.name_characters
        and len(found.version) <= limits.name_characters
    )
    if time_ms is None or not names_fit or not _keys_once(line):
        return None
    kept = LogLine(found.component, found.text, found.level)
    return SentLine(found.device, time_ms, kept, found.application, found.version)


def _keys_once(line: bytes) -> bool:
    """Whether no key stands twice. One that is escaped is not seen, so nothing escaped may name a key."""
    return all(line.count(key) < 2 for key in _KEYS) and b"\\u00" not in line


def _time_ms(value: str | int) -> int | None:
    """The usual spelling, `2026-11-22T10:00:00.250Z`, or milliseconds; None for what has to be looked at."""
    if isinstance(value, int):
        return in_range(value)
    if len(value) != 24 or value[23] != "Z" or value[10] != "T" or value[19] != "." or not value.isascii():
        return None
    if not (value[4] == value[7] == "-" and value[13] == value[16] == ":"):
        return None
    try:
        return (datetime.fromisoformat(value) - _EPOCH) // _MS
    except ValueError:
        return None


def _carefully(number: int, line: bytes, limits: ParseLimits, *, cut: bool) -> SentLine | LineError:
    try:
        return log_line_of(fields_of_line(line, limits), limits)
    except LineFault as fault:
        return replace(as_cut(fault, cut=cut).at(number, line), form=LineForm.LOG_LINE)
