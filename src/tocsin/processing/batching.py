"""Log records into batches: consecutive events of one tenant are processed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from tocsin.control import Control, decode_control
from tocsin.events import I64, EventBatch
from tocsin.log.abstract import Record, RecordKind
from tocsin.model import Flag
from tocsin.payloads import join_events


@dataclass(frozen=True, slots=True)
class Events:
    """Consecutive events of a tenant and each one's offset."""

    tenant: str
    offsets: I64
    batch: EventBatch


def without_log_lines(events: Events) -> Events:
    """The events that readings may come with: lines of logs are what dumps are cut from, and never scored."""
    is_line = (events.batch.flags & int(Flag.LOG_LINE)) != 0
    if not is_line.any():
        return events
    rows = np.flatnonzero(~is_line).astype(np.int64)
    return Events(events.tenant, events.offsets[rows], events.batch.take(rows))


def in_spans(
    offsets: I64, spans: Sequence[tuple[int, int | None]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which offsets lie between the ends of a span; an end of None has not come yet."""
    found = np.zeros(len(offsets), np.bool_)
    for first, last in spans:
        found |= (offsets > first) & (offsets < (np.inf if last is None else last))
    return found


@dataclass(frozen=True, slots=True)
class Decision:
    """A control record and its offset."""

    offset: int
    control: Control


def batches(records: Sequence[Record]) -> Iterator[Events | Decision]:
    """The records in order, events of the same tenant in a row joined; CorruptError for altered payloads."""
    for (kind, tenant), group in groupby(records, key=lambda record: (record.kind, record.tenant)):
        if kind is RecordKind.CONTROL:
            for record in group:
                yield Decision(record.offset, decode_control(record.payload))
        else:
            yield joined(tenant, list(group))


def joined(tenant: str, records: list[Record]) -> Events:
    """Event records of one tenant as one batch; CorruptError for altered payloads."""
    offsets = [np.arange(record.offset, record.next_offset, dtype=np.int64) for record in records]
    batch = join_events([record.payload for record in records])
    return Events(tenant, np.concatenate(offsets), batch)
