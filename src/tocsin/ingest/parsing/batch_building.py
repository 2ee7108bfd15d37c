"""Events as objects into columns: for lines that took the careful path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.events import EventBatch, Strings
from tocsin.ingest.parsing.event import Event, canonical_text


def batch_of(events: Sequence[Event]) -> EventBatch:
    """The events as one batch; names and streams are numbered as they first appear."""
    names: dict[str, int] = {}
    streams: dict[tuple[str, str], int] = {}
    readings = [reading for event in events for reading in event.readings]
    offsets = np.zeros(len(events) + 1, np.int32)
    np.cumsum([len(event.readings) for event in events], out=offsets[1:])
    stream = [streams.setdefault((event.application, event.version), len(streams)) for event in events]
    return EventBatch(
        device=Strings.of([event.device for event in events]),
        ts=np.array([event.ts for event in events], np.int64),
        flags=np.zeros(len(events), np.uint8),
        stream=np.array(stream, np.int32),
        reading_offsets=offsets,
        parameter=np.array([names.setdefault(name, len(names)) for name, _ in readings], np.int32),
        value=np.array([value for _, value in readings], np.float64),
        text=Strings.of([canonical_text(event.text) for event in events]),
        text_count=np.array([len(event.text) for event in events], np.int32),
        event_id=Strings.of([event.event_id for event in events]),
        names=tuple(names),
        streams=tuple(streams),
    )
