"""Lines of logs as the columns of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tocsin.events import EventBatch, Strings
from tocsin.ingest.parsing.log_line import SentLine
from tocsin.log_lines import encode_line
from tocsin.model import Flag

_LOG_LINE: Final = int(Flag.LOG_LINE)


def batch_of_lines(lines: Sequence[SentLine]) -> EventBatch:
    """Events without readings that the flag LOG_LINE marks; none of their text counts as a field."""
    streams: dict[tuple[str, str], int] = {}
    stream = [streams.setdefault((sent.application, sent.version), len(streams)) for sent in lines]
    count = len(lines)
    return EventBatch(
        device=Strings.of([sent.device for sent in lines]),
        ts=np.array([sent.time_ms for sent in lines], np.int64),
        flags=np.full(count, _LOG_LINE, np.uint8),
        stream=np.array(stream, np.int32),
        reading_offsets=np.zeros(count + 1, np.int32),
        parameter=np.zeros(0, np.int32),
        value=np.zeros(0, np.float64),
        text=_strings([encode_line(sent.line) for sent in lines]),
        text_count=np.zeros(count, np.int32),
        event_id=Strings(np.zeros(count + 1, np.int32), np.zeros(0, np.uint8)),
        names=(),
        streams=tuple(streams),
    )


def _strings(values: list[bytes]) -> Strings:
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return Strings(offsets, np.frombuffer(b"".join(values), np.uint8))
