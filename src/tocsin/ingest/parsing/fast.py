"""NDJSON read by the compiled scanner, with the careful reader for every line that it does not take."""

from __future__ import annotations

import ctypes
import threading
from typing import Final

import numpy as np

from tocsin.events import I32, I64, U8, EventBatch, Strings
from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._lines import know_reserved_names, scan_lines
from tocsin.ingest.parsing._workspace import Workspace, fits, reserved_names
from tocsin.ingest.parsing.batch_building import batch_of
from tocsin.ingest.parsing.careful import read_line, too_many_lines
from tocsin.ingest.parsing.event import RESERVED, Event
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError
from tocsin.ingest.parsing.merging import merge_by_line, renumber
from tocsin.ingest.parsing.parsed_body import ParsedBody

_OVERREAD_BYTES: Final = 64
_KEPT_BODY_BYTES: Final = 4 << 20
_RESERVED_NAMES: Final = reserved_names()
_RESERVED_LENGTHS: Final[I64] = np.array([len(name) for name in RESERVED], np.int64)
_kept = threading.local()


def parse_ndjson(body: bytes, limits: ParseLimits) -> ParsedBody:
    """What parse_ndjson_carefully answers, at the speed of a compiled scanner for lines of the usual kind."""
    return parse_lines(body, limits, source=body, may_be_cut=True)


def parse_lines(body: bytes, limits: ParseLimits, *, source: bytes, may_be_cut: bool) -> ParsedBody:
    """Events of the lines of `body`; the careful reader finds the same line in `source`, byte by byte.

    `may_be_cut` says that a last line without a line end may have been longer.
    """
    work = _workspace(len(body), limits)
    end_of_body = _scan(body, work, limits)
    batch, line = _columns(work)
    del end_of_body  # names were read from it until here
    handed = work.head(slot.HANDED, 3 * work.count(slot.HANDED_COUNT)).reshape(-1, 3)
    if len(handed) == 0:
        return ParsedBody(batch, line, [], len(batch))
    events, event_line, errors = _read_carefully(source, handed, limits, may_be_cut)
    if events:
        batch, line = merge_by_line(batch, line, batch_of(events), event_line)
    else:
        batch = renumber(batch)
    return ParsedBody(batch, line, errors, len(batch) + len(errors))


def _workspace(body_bytes: int, limits: ParseLimits) -> Workspace:
    """An empty workspace: this thread's own for bodies of usual size, else one for this body alone."""
    work: Workspace | None = getattr(_kept, "work", None)
    if work is None or not fits(work, body_bytes, limits):
        capacity = 1 << max(body_bytes, 1 << 16).bit_length()
        work = Workspace(capacity if body_bytes <= _KEPT_BODY_BYTES else body_bytes, limits)
        if body_bytes <= _KEPT_BODY_BYTES:
            _kept.work = work
    work.reset()
    know_reserved_names(_RESERVED_NAMES, _RESERVED_LENGTHS, work.block)
    return work


def _scan(body: bytes, work: Workspace, limits: ParseLimits) -> bytes:
    """Scan all of the body. Its end is scanned from a copy with room to read beyond, which is returned.

    The workspace refers to names by their address, so body and copy must outlive what is read of it.
    """
    overread = _OVERREAD_BYTES + limits.name_characters
    split = body.rfind(b"\n", 0, max(0, len(body) - overread)) + 1
    tail = body[split:]
    if tail and not tail.endswith(b"\n"):
        tail += b"\n"
    padded = tail + bytes(overread)
    whole = scan_lines(np.frombuffer(body, np.uint8), split, 0, work.block) if split else True
    if not whole or not scan_lines(np.frombuffer(padded, np.uint8), len(tail), split, work.block):
        raise too_many_lines(limits)
    return padded


def _columns(work: Workspace) -> tuple[EventBatch, I32]:
    """The events that the scanner took, and their lines, copied out of the workspace."""
    events, readings = work.count(slot.EVENTS), work.count(slot.READING_END)
    batch = EventBatch(
        device=_strings(work, slot.DEVICE_OFFSETS, slot.DEVICE_DATA, slot.DEVICE_END),
        ts=work.head(slot.TS, events),
        flags=np.zeros(events, np.uint8),
        stream=work.head(slot.STREAM, events),
        reading_offsets=work.head(slot.READING_OFFSETS, events + 1),
        parameter=work.head(slot.PARAMETER, readings),
        value=work.head(slot.VALUE, readings),
        text=_strings(work, slot.TEXT_OFFSETS, slot.TEXT_DATA, slot.TEXT_END),
        text_count=work.head(slot.TEXT_COUNT, events),
        event_id=_strings(work, slot.ID_OFFSETS, slot.ID_DATA, slot.ID_END),
        names=_names(work),
        streams=_streams(work),
    )
    return batch, work.head(slot.LINE, events)


def _strings(work: Workspace, offsets: int, data: int, end: int) -> Strings:
    column: U8 = work.head(data, work.count(end))
    return Strings(work.head(offsets, work.count(slot.EVENTS) + 1), column)


def _names(work: Workspace) -> tuple[str, ...]:
    """The names that had a numeric value, by their number."""
    count = work.count(slot.NAMES)
    numbers = work.head(slot.NAME_NUMBER, count)
    starts, lengths = work.head(slot.NAME_START, count), work.head(slot.NAME_LENGTH, count)
    used = sorted((number, name) for name, number in enumerate(numbers.tolist()) if number >= 0)
    return tuple(_text_at(starts[name], lengths[name]) for _, name in used)


def _streams(work: Workspace) -> tuple[tuple[str, str], ...]:
    spans = work.head(slot.STREAM_SPANS, 4 * work.count(slot.STREAMS)).reshape(-1, 4)
    return tuple((_text_at(*pair[:2]), _text_at(*pair[2:])) for pair in spans)


def _text_at(address: int, length: int) -> str:
    return ctypes.string_at(int(address), int(length)).decode() if length else ""


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
