"""What takes part in a derivation: all but events with a wrong clock and what came too late.

This is decided by the order of the log alone, so that it is the same whenever a correction runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS
from tocsin.events import I32, I64
from tocsin.model import Flag
from tocsin.processing.batching import Events, in_spans

LATE_MAX_MS: Final = 30 * 86_400_000
"""What is later than this is kept raw and counted, never corrected."""

Mask = npt.NDArray[np.bool_]


def split_off(events: Events, quarantines: Sequence[tuple[int, int | None]]) -> tuple[Events, Events]:
    """The events that take part, in order of time, and all events with only the readings that do not.

    `events` are those of one device from some stamp on, in the order of the log.
    """
    batch = events.batch
    quarantined = in_spans(events.offsets, quarantines)
    stays, out = _parts(events, quarantined)
    taking_part = _only(events, stays, ~out)
    marks = (quarantined[stays] * np.uint8(Flag.QUARANTINED)).astype(np.uint8)
    marked = replace(taking_part.batch, flags=taking_part.batch.flags | marks)
    order = np.argsort(marked.ts, kind="stable")
    ordered = Events(events.tenant, taking_part.offsets[order], marked.take(order))
    return ordered, _only(events, np.ones(len(batch), np.bool_), out)


def without_too_late(events: Events, quarantines: Sequence[tuple[int, int | None]], below: int) -> Events:
    """The events without what comes too late among those below an offset, in the order of the log."""
    batch, sorted_ = events.batch, events.offsets < below
    stays, out = _parts(events, in_spans(events.offsets, quarantines))
    readings = ~np.repeat(sorted_, np.diff(batch.reading_offsets)) | ~out
    return _only(events, stays | ~sorted_, readings)


def _parts(events: Events, quarantined: Mask) -> tuple[Mask, Mask]:
    """By event: whether it takes part; by reading: whether it does not."""
    batch = events.batch
    applications = {application: code for code, (application, _) in enumerate(batch.streams)}
    codes = np.array([applications[application] for application, _ in batch.streams], np.int32)
    wrong = (batch.flags & int(Flag.CLOCK_WRONG)) != 0
    return _takes_part(
        batch.ts, codes[batch.stream], batch.reading_offsets, batch.parameter, wrong, quarantined
    )


def _only(events: Events, keep: Mask, readings: Mask) -> Events:
    """The kept events with only the marked readings."""
    batch = events.batch
    offsets = np.zeros(len(batch) + 1, np.int32)
    sums = np.concatenate([[0], np.cumsum(readings)])
    offsets[1:] = sums[batch.reading_offsets[1:]]
    thinned = replace(
        batch, reading_offsets=offsets, parameter=batch.parameter[readings], value=batch.value[readings]
    )
    rows = np.flatnonzero(keep).astype(np.int64)
    return Events(events.tenant, events.offsets[rows], thinned.take(rows))


@nb.njit(cache=True, nogil=True)
def _takes_part(
    ts: I64,
    application: I32,
    reading_offsets: I32,
    parameter: I32,
    wrong: Mask,
    quarantined: Mask,
) -> tuple[Mask, Mask]:
    """A reading is too late when it lies more than 30 days behind the newest of its series before it.

    An event is when all of its readings are, or if none is judged, when it lies that far behind its device.
    """
    stays, out = np.ones(len(ts), np.bool_), np.zeros(reading_offsets[-1], np.bool_)
    width = np.int64(parameter.max()) + 1 if len(parameter) else np.int64(1)
    highest = np.int64(application.max()) if len(application) else np.int64(0)
    newest = np.full((highest + 1) * width, NEVER_MS)
    newest_of_device = NEVER_MS
    for i in range(len(ts)):
        first, last = reading_offsets[i], reading_offsets[i + 1]
        if wrong[i]:
            stays[i] = False
        elif quarantined[i] or first == last:
            stays[i] = newest_of_device - ts[i] <= LATE_MAX_MS
        else:
            stays[i] = False
            for j in range(first, last):
                series = application[i] * width + parameter[j]
                out[j] = newest[series] - ts[i] > LATE_MAX_MS
                if not out[j]:
                    newest[series] = max(newest[series], ts[i])
                    stays[i] = True
        if stays[i]:
            newest_of_device = max(newest_of_device, ts[i])
        else:
            out[first:last] = True
    return stays, out
