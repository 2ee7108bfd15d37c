"""Third step: gather the readings that are to be scored and let each detector score them."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import Readings, Scores
from tocsin.events import F64, I32, I64, U8, EventBatch
from tocsin.processing.ordering import Ordered
from tocsin.processing.resolving import Resolved
from tocsin.processing.state import Slot, TenantState


@dataclass(frozen=True, slots=True)
class Gathered:
    """The readings a detector scores, with their rows among the batch's readings and events."""

    readings: Readings
    row: I32
    event: I32
    version: I32


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one detector said about a batch."""

    detector: str
    gathered: Gathered
    scores: Scores


def score(gathered: Gathered, slot: Slot) -> Verdicts:
    """Score the readings in order with one detector, which learns from each after scoring it."""
    scores = Scores.empty(len(gathered.readings))
    slot.detector.score(gathered.readings, slot.state, slot.settings, scores)
    return Verdicts(slot.detector.info.name, gathered, scores)


def gather(batch: EventBatch, rows: Resolved, ordered: Ordered, slot: Slot, state: TenantState) -> Gathered:
    """The readings that are to be scored, under the settings that run the detector of `slot`."""
    columns = _gather(
        batch.ts,
        batch.reading_offsets,
        rows.series,
        rows.parameter,
        batch.value,
        ordered.status,
        ordered.version,
        ordered.local_offset_ms,
        slot.enabled,
        state.setting_of,
    )
    series, ts, value, local_offset_ms, setting, row, event, version = columns
    return Gathered(Readings(series, ts, value, local_offset_ms, setting), row, event, version)


@nb.njit(cache=True, nogil=True)
def _gather(
    ts: I64,
    reading_offsets: I32,
    series: I32,
    parameter: I32,
    value: F64,
    status: U8,
    version: I32,
    local_offset_ms: I32,
    enabled: npt.NDArray[np.bool_],
    setting_of: I32,
) -> tuple[I32, I64, F64, I32, I32, I32, I32, I32]:
    count = len(value)
    out_series, out_ts, out_value = np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count)
    offset, setting = np.empty(count, np.int32), np.empty(count, np.int32)
    row, event, out_version = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
    k = 0
    for i in range(len(ts)):
        if not enabled[version[i]]:
            continue
        for j in range(reading_offsets[i], reading_offsets[i + 1]):
            if status[j] != 0:
                continue
            out_series[k], out_ts[k], out_value[k] = series[j], ts[i], value[j]
            offset[k] = local_offset_ms[i]
            setting[k] = setting_of[version[i], parameter[j]]
            row[k], event[k], out_version[k] = j, i, version[i]
            k += 1
    return (
        out_series[:k],
        out_ts[:k],
        out_value[:k],
        offset[:k],
        setting[:k],
        row[:k],
        event[:k],
        out_version[:k],
    )
