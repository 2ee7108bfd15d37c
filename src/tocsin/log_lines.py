"""A line of a log as it lies in the text of an event whose flags say LOG_LINE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tocsin.errors import CorruptError


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
