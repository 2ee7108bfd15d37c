"""A line of a log as it lies in the text of an event whose flags say LOG_LINE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tocsin.errors import CorruptError
from tocsin.events import EventBatch
from tocsin.model import Flag


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a component wrote. `level` is the sender's word; `fields` are what else it sent, never read."""

    component: str
    text: str
    level: str = ""
    fields: dict[str, Any] = {}


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(LogLine)


def encode_line(line: LogLine) -> bytes:
    """JSON, the same for equal lines.

    >>> encode_line(LogLine("door", "closed"))
    b'{"component":"door","text":"closed"}'
    """
    return _ENCODER.encode(line)


def decode_line(text: bytes) -> LogLine:
    """The line in an event's text; CorruptError if there is none."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"an event that should be a log line is none: {error}") from error


def decode_lines(texts: Sequence[bytes]) -> list[LogLine]:
    """The lines in the texts of events; CorruptError as decode_line has it."""
    try:
        return _DECODER.decode_lines(b"\n".join(texts))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"an event that should be a log line is none: {error}") from error


def sent_again(batch: EventBatch, row: int) -> bytes:
    """One NDJSON line without its end that would be read as this line; `time` in epoch milliseconds."""
    application, version = batch.streams[batch.stream[row]]
    line = decode_line(batch.text[row].encode())
    fields: dict[str, Any] = {
        "device": batch.device[row],
        "time": int(batch.ts[row]),
        "component": line.component,
        "text": line.text,
    }
    named = {"level": line.level, "application": application, "version": version}
    fields |= {name: value for name, value in named.items() if value} | line.fields
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def encode_sent(batch: EventBatch) -> bytes:
    """All lines of a batch as a body of POST /v1/logs."""
    return b"".join(sent_again(batch, row) + b"\n" for row in range(len(batch)))


def are_log_lines(batch: EventBatch) -> bool:
    """Whether the events of a batch are lines of logs."""
    return len(batch) > 0 and bool((batch.flags & int(Flag.LOG_LINE)).all())
