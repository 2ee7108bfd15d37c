"""Two batches into one, in order of lines, with names and streams numbered as they first appear."""

from __future__ import annotations

import numba as nb
import numpy as np

from tocsin.events import I32, I64, EventBatch, Strings


def merge_by_line(
    left: EventBatch, left_line: I32, right: EventBatch, right_line: I32
) -> tuple[EventBatch, I32]:
    """The events of both in order of their lines, and the lines; each input is in order itself."""
    line: I32 = np.concatenate([left_line, right_line])
    rows: I64 = np.argsort(line, kind="stable")
    return renumber(concat(left, right).take(rows)), line[rows]


def concat(left: EventBatch, right: EventBatch) -> EventBatch:
    """The events of `left`, then those of `right`; names and streams of both, each once."""
    names = {name: number for number, name in enumerate(left.names)}
    streams = {stream: number for number, stream in enumerate(left.streams)}
    name_map = np.array([names.setdefault(name, len(names)) for name in right.names], np.int32)
    stream_map = np.array([streams.setdefault(pair, len(streams)) for pair in right.streams], np.int32)
    return EventBatch(
        device=concat_strings(left.device, right.device),
        ts=np.concatenate([left.ts, right.ts]),
        flags=np.concatenate([left.flags, right.flags]),
        stream=np.concatenate([left.stream, stream_map[right.stream]]),
        reading_offsets=_concat_offsets(left.reading_offsets, right.reading_offsets),
        parameter=np.concatenate([left.parameter, name_map[right.parameter]]),
        value=np.concatenate([left.value, right.value]),
        text=concat_strings(left.text, right.text),
        text_count=np.concatenate([left.text_count, right.text_count]),
        event_id=concat_strings(left.event_id, right.event_id),
        names=tuple(names),
        streams=tuple(streams),
    )


def renumber(batch: EventBatch) -> EventBatch:
    """The same events with names and streams numbered as they first appear, unused ones left out."""
    parameter, names = _first_appearance(batch.parameter, len(batch.names))
    stream, streams = _first_appearance(batch.stream, len(batch.streams))
    return EventBatch(
        device=batch.device,
        ts=batch.ts,
        flags=batch.flags,
        stream=stream,
        reading_offsets=batch.reading_offsets,
        parameter=parameter,
        value=batch.value,
        text=batch.text,
        text_count=batch.text_count,
        event_id=batch.event_id,
        names=tuple(batch.names[old] for old in names),
        streams=tuple(batch.streams[old] for old in streams),
    )


def _concat_offsets(left: I32, right: I32) -> I32:
    return np.concatenate([left, right[1:] + left[-1]])


def concat_strings(left: Strings, right: Strings) -> Strings:
    """The rows of `left`, then those of `right`."""
    return Strings(_concat_offsets(left.offsets, right.offsets), np.concatenate([left.data, right.data]))


@nb.njit(cache=True, nogil=True)
def _first_appearance(numbers: I32, count: int) -> tuple[I32, I32]:
    """The numbers counted anew as they first appear, and the old number of each new one."""
    new = np.full(count, -1, np.int32)
    old = np.empty(count, np.int32)
    out = np.empty(len(numbers), np.int32)
    used = 0
    for i in range(len(numbers)):
        if new[numbers[i]] < 0:
            new[numbers[i]] = used
            old[used] = numbers[i]
            used += 1
        out[i] = new[numbers[i]]
    return out, old[:used]
