"""First step: number the devices and series of a batch; new ones get the next numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS
from tocsin.events import I32, I64, EventBatch
from tocsin.processing.hashing import combine_keys
from tocsin.processing.state import TenantState
from tocsin.processing.tables import find_or_add

_NEW_SERIES_STEP: Final = 1024
"""Room is made for so many new series at a time, so that a batch of known ones reserves little."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The number of each event's device and stream, and of each reading's series and parameter."""

    device: I32
    stream: I32
    series: I32
    parameter: I32


def resolve(batch: EventBatch, state: TenantState) -> Resolved:
    """Number devices, streams and series; adds what is new to `state`."""
    device = state.add_devices(batch.device)
    codes = state.parameter_codes(batch)
    series, parameter = np.empty(batch.readings, np.int32), np.empty(batch.readings, np.int32)
    done, room = 0, _NEW_SERIES_STEP
    while done < len(batch):
        start = done
        state.reserve_series(room)
        done, added = _number_series(
            start,
            room,
            device,
            batch.stream,
            batch.reading_offsets,
            batch.parameter,
            codes,
            *state.pairs.arrays,
            state.devices.rows,
            state.series.rows,
            state.series.count,
            state.parameter_keys.rows,
            series,
            parameter,
        )
        if added:
            state.start_series(added)
        elif done == start:  # a single event might bring more
            room *= 2
    return Resolved(device, state.stream_numbers(batch)[batch.stream], series, parameter)


@nb.njit(cache=True, nogil=True)
def _number_series(
    start: int,
    room: int,
    device: I32,
    stream: I32,
    reading_offsets: I32,
    parameter: I32,
    codes: I32,
    pair_keys: I64,
    pair_numbers: I32,
    devices: npt.NDArray[Any],
    series: npt.NDArray[Any],
    count: int,
    parameter_keys: npt.NDArray[Any],
    out: I32,
    out_parameter: I32,
) -> tuple[int, int]:
    """Number readings from event `start` on; stops before new series could exceed `room`."""
    added = 0
    for i in range(start, len(device)):
        first, last = reading_offsets[i], reading_offsets[i + 1]
        if added + last - first > room:
            return i, added
        d = device[i]
        # a device's series mostly have consecutive numbers and come in the order of their first appearance
        guess = devices[d].first_series - devices[d].series_count + 1 - first
        for j in range(first, last):
            code = codes[stream[i], parameter[j]]
            out_parameter[j] = code
            number = guess + j
            if 0 <= number < count + added:
                known = series[number]
                if known.device == d and known.parameter == code:
                    out[j] = number
                    continue
            number = find_or_add(pair_keys, pair_numbers, count + added, d, code)
            if number == count + added:
                row, key = devices[d], parameter_keys[code]
                low, high = combine_keys(row.key_low, row.key_high, key.low, key.high)
                series[number].key_low, series[number].key_high = low, high
                series[number].device, series[number].parameter = d, code
                series[number].last_ms = NEVER_MS
                series[number].next = row.first_series
                row.first_series = number
                row.series_count += 1
                added += 1
            out[j] = number
    return len(device), added
