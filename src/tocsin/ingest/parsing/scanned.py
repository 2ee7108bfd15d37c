"""What the compiled scanner makes of a body of lines: columns, and the lines that it leaves to others."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.events import I32, I64, U8, EventBatch, Strings
from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._lines import know_reserved_names, scan_lines
from tocsin.ingest.parsing._workspace import Workspace, fits, names_of
from tocsin.ingest.parsing.careful import too_many_lines
from tocsin.ingest.parsing.event import RESERVED
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_line import NAMED
from tocsin.model import Flag

_OVERREAD_BYTES: Final = 64
_KEPT_BODY_BYTES: Final = 4 << 20
_LOG_LINE: Final = int(Flag.LOG_LINE)
_kept = threading.local()


@dataclass(frozen=True, slots=True)
class LineKind:
    """The names that lines of a kind have, by number, and the flags of what becomes of one."""

    names: U8
    lengths: I64
    flags: int


EVENTS: Final = LineKind(*names_of(RESERVED), 0)
LOG_LINES: Final = LineKind(*names_of(NAMED), _LOG_LINE)


@dataclass(frozen=True, slots=True)
class Scanned:
    """`line` is that of each event. `handed`: (start, end, line) of each line for the careful reader."""

    batch: EventBatch
    line: I32
    handed: I64


def scan(body: bytes, limits: ParseLimits, kind: LineKind) -> Scanned:
    """Read what is plainly good. TooLargeError where there are more lines than allowed."""
    work = _workspace(len(body), limits, kind)
    end_of_body = _scan(body, work, limits)
    batch, line = _columns(work, kind)
    del end_of_body  # names were read from it until here
    handed = work.head(slot.HANDED, 3 * work.count(slot.HANDED_COUNT)).reshape(-1, 3)
    return Scanned(batch, line, handed)


def _workspace(body_bytes: int, limits: ParseLimits, kind: LineKind) -> Workspace:
    """An empty workspace: this thread's own for bodies of usual size, else one for this body alone."""
    work: Workspace | None = getattr(_kept, "work", None)
    if work is None or not fits(work, body_bytes, limits):
        capacity = 1 << max(body_bytes, 1 << 16).bit_length()
        work = Workspace(capacity if body_bytes <= _KEPT_BODY_BYTES else body_bytes, limits)
        if body_bytes <= _KEPT_BODY_BYTES:
            _kept.work = work
    work.reset()
    work.block[slot.LOG_LINES] = kind.flags == _LOG_LINE
    know_reserved_names(kind.names, kind.lengths, work.block)
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


def _columns(work: Workspace, kind: LineKind) -> tuple[EventBatch, I32]:
    """The events that the scanner took, and their lines, copied out of the workspace."""
    events, readings = work.count(slot.EVENTS), work.count(slot.READING_END)
    batch = EventBatch(
        device=_strings(work, slot.DEVICE_OFFSETS, slot.DEVICE_DATA, slot.DEVICE_END),
        ts=work.head(slot.TS, events),
        flags=np.full(events, kind.flags, np.uint8),
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
