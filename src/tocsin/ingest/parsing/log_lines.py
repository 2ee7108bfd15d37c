"""Bodies of log lines, one JSON object a line: a scanner, then quick and careful looks at the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from tocsin.ingest.parsing.careful import as_cut, fields_of_line, too_many_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError, LineFault, LineForm
from tocsin.ingest.parsing.log_batch import batch_of_lines
from tocsin.ingest.parsing.log_line import LEVEL_CHARACTERS_MAX, SentLine, log_line_of
from tocsin.ingest.parsing.merging import merge_by_line
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.parsing.scanned import LOG_LINES, scan
from tocsin.ingest.parsing.timestamp import in_range
from tocsin.log_lines import LogLine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A line with the named fields alone."""

    device: str
    time: str | int
    component: str
    text: str
    level: str = ""
    application: str = ""
    version: str = ""


_USUAL: Final = msgspec.json.Decoder(_Usual)
_NEEDED: Final = 4  # keys that every line has
_APART: Final = re.compile(rb'"[ \t\r]+:')  # the end of a key, not as it is usually written
_BLOCK_LINES: Final = 512


def parse_log_lines(body: bytes, limits: ParseLimits) -> ParsedBody:
    """What parse_log_lines_carefully answers, at the speed of a compiled scanner for lines of the usual kind.

    Of the other lines a block is looked at together; only one that is not plainly good is read line by line.
    """
    found = scan(body, limits, LOG_LINES)
    if len(found.handed) == 0:
        return ParsedBody(found.batch, found.line, [], len(found.batch))
    rest = _Read([], [], [])
    handed = found.handed.tolist()
    for first in range(0, len(handed), _BLOCK_LINES):
        _take(body, handed[first : first + _BLOCK_LINES], limits, rest)
    numbers = np.array(rest.numbers, np.int32)
    batch, line = merge_by_line(found.batch, found.line, batch_of_lines(rest.sent), numbers)
    return ParsedBody(batch, line, rest.errors, len(batch) + len(rest.errors))


def parse_log_lines_carefully(body: bytes, limits: ParseLimits) -> ParsedBody:
    """Every line by itself: the definition that parse_log_lines must equal."""
    rest = _Read([], [], [])
    lines = body.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip(b" \t\r"):
            rest.add(number, _carefully(number, line, limits, cut=number == len(lines)))
        if rest.received > limits.lines:
            raise too_many_lines(limits)
    numbers = np.array(rest.numbers, np.int32)
    return ParsedBody(batch_of_lines(rest.sent), numbers, rest.errors, rest.received)


@dataclass(slots=True)
class _Read:
    """Lines with their numbers, and what is wrong with others."""

    sent: list[SentLine]
    numbers: list[int]
    errors: list[LineError]

    @property
    def received(self) -> int:
        return len(self.sent) + len(self.errors)

    def add(self, number: int, found: SentLine | LineError) -> None:
        if isinstance(found, LineError):
            self.errors.append(found)
        else:
            self.sent.append(found)
            self.numbers.append(number)


def _take(body: bytes, handed: Sequence[tuple[int, int, int]], limits: ParseLimits, into: _Read) -> None:
    """Read the lines at these (start, end, number), in order."""
    lines = [body[start:end] for start, end, _ in handed]
    together = usual(lines, limits)
    for place, (_, end, number) in enumerate(handed):
        alone = together[place : place + 1] if together else usual(lines[place : place + 1], limits)
        cut = end == len(body)
        into.add(number, alone[0] if alone else _carefully(number, lines[place], limits, cut=cut))


def usual(lines: Sequence[bytes], limits: ParseLimits) -> list[SentLine] | None:
    """The lines if all of them are plainly good; None says nothing, the careful reader has to look.

    A key that stands twice shows in the number of keys, as it is usually written. What has more of them,
    since a text holds such bytes, or has any in another spelling, is looked at again.
    """
    joined = b"\n".join(lines)
    try:
        found = _USUAL.decode_lines(joined)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    optional = sum((line.level != "") + (line.application != "") + (line.version != "") for line in found)
    if len(found) != len(lines) or joined.count(b'":') != _NEEDED * len(found) + optional:
        return None
    # Of many lines one may be blank and another have two objects, unless each begins with one.
    if _APART.search(joined) or not all(line.startswith(b"{") for line in lines):
        return None
    if max(map(len, lines), default=0) > limits.line_bytes:
        return None
    sent = []
    names_max = limits.name_characters
    for line in found:
        time_ms = _time_ms(line.time)
        if (
            time_ms is None
            or not 0 < len(line.device) <= names_max
            or not 0 < len(line.component) <= names_max
            or max(len(line.application), len(line.version)) > names_max
            or len(line.level) > LEVEL_CHARACTERS_MAX
        ):
            return None
        kept = LogLine(line.component, line.text, line.level)
        sent.append(SentLine(line.device, time_ms, kept, line.application, line.version))
    return sent


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
