"""Bodies of log lines, one JSON object a line: a quick look at many, a careful one where that says no."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from tocsin.ingest.parsing.careful import as_cut, fields_of_line, too_many_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError, LineFault, LineForm
from tocsin.ingest.parsing.log_batch import batch_of_lines
from tocsin.ingest.parsing.log_line import LEVEL_CHARACTERS_MAX, SentLine, log_line_of
from tocsin.ingest.parsing.parsed_body import ParsedBody
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
    """The lines as events without readings, and what is wrong with the others; about 3 µs a line.

    Lines are looked at a block at a time; only a block that is not plainly good is read line by line.
    """
    lines = body.split(b"\n")
    if whole := not lines[-1]:
        lines.pop()  # behind the end of the last line
    sent: list[SentLine] = []
    numbers: list[int] = []
    errors: list[LineError] = []
    for first in range(0, len(lines), _BLOCK_LINES):
        block = lines[first : first + _BLOCK_LINES]
        found = usual(block, limits)
        if found is not None:
            sent += found
            numbers += range(first + 1, first + 1 + len(block))
        else:
            for number, line in enumerate(block, start=first + 1):
                _take(line, number, limits, (sent, numbers, errors), cut=not whole and number == len(lines))
        if len(sent) + len(errors) > limits.lines:
            raise too_many_lines(limits)
    return ParsedBody(batch_of_lines(sent), np.array(numbers, np.int32), errors, len(sent) + len(errors))


def _take(
    line: bytes,
    number: int,
    limits: ParseLimits,
    into: tuple[list[SentLine], list[int], list[LineError]],
    *,
    cut: bool,
) -> None:
    """Read one line by itself, unless it is blank."""
    if not line.strip(b" \t\r"):
        return
    sent, numbers, errors = into
    alone = usual([line], limits)
    found = alone[0] if alone else _carefully(number, line, limits, cut=cut)
    if isinstance(found, LineError):
        errors.append(found)
    else:
        sent.append(found)
        numbers.append(number)


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
