"""Hour aggregates: count, sum, squares about the mean, least and greatest value of each series and hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numba as nb
import numpy as np
import pyarrow as pa

from tocsin.events import F64, I32, I64
from tocsin.lake.columns import EventColumns, arrow_names, arrow_strings, arrow_times
from tocsin.lake.grouping import plausible
from tocsin.lake.numbering import number_keys
from tocsin.lake.schemas import OVERFLOW_DATE

HOUR_MS: Final = 3_600_000

_OVERFLOW_MONTH: Final = -1
_KEY_MAX: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class HourColumns:
    """One row per (application, device, parameter, hour) of one tenant.

    `m2` sums the squares about the row's own mean. `month` counts from 1970-01, -1 = the overflow.
    """

    application: tuple[str, ...]
    application_of: I32
    device: I32
    parameter: I32
    hour_ms: I64
    count: I64
    sum: F64
    m2: F64
    min: F64
    max: F64
    month: I64


def aggregate_hours(columns: EventColumns) -> HourColumns:
    """Partials over all readings of these events."""
    applications, application = _applications(columns)
    hour = columns.ts // HOUR_MS
    cell, cell_event = _cells(hour, application, columns.device)
    slot, count, parts = _sums(columns, cell, len(cell_event))
    names = max(1, len(columns.names))
    event = cell_event[slot // names]
    month = columns.ts[event].astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    month[~plausible(columns.ts[event], columns.arrival[event])] = _OVERFLOW_MONTH
    return HourColumns(
        application=applications,
        application_of=application[event],
        device=columns.device[event],
        parameter=(slot % names).astype(np.int32),
        hour_ms=hour[event] * HOUR_MS,
        count=count,
        sum=parts[:, 0],
        m2=parts[:, 1],
        min=parts[:, 2],
        max=parts[:, 3],
        month=month,
    )


def hour_table(columns: EventColumns, hours: HourColumns, rows: I64 | None, revision: int) -> pa.Table:
    """Rows of the files of `hours`; `rows` None = all."""
    chosen = np.arange(len(hours.count)) if rows is None else rows
    devices = arrow_strings(columns.devices)
    arrays = {
        "application": arrow_names(hours.application_of[chosen], hours.application),
        "device": pa.DictionaryArray.from_arrays(pa.array(hours.device[chosen]), devices),
        "parameter": arrow_names(hours.parameter[chosen], columns.names),
        "hour": arrow_times(hours.hour_ms[chosen]),
        "count": pa.array(hours.count[chosen]),
        "sum": pa.array(hours.sum[chosen]),
        "m2": pa.array(hours.m2[chosen]),
        "min": pa.array(hours.min[chosen]),
        "max": pa.array(hours.max[chosen]),
        "revision": pa.array(np.full(len(chosen), revision, np.int32)),
    }
    schema = pa.schema([pa.field(name, array.type, nullable=False) for name, array in arrays.items()])
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def hour_partition(tenant: str, month: int) -> dict[str, str]:
    """The partition of `hours` that a month stands for."""
    first = OVERFLOW_DATE if month == _OVERFLOW_MONTH else date(1970 + month // 12, 1 + month % 12, 1)
    return {"tenant": tenant, "month": first.isoformat()}


def _applications(columns: EventColumns) -> tuple[tuple[str, ...], I32]:
    """The applications, and the index of each event's."""
    names = dict.fromkeys(application for application, _ in columns.streams)
    index = {name: number for number, name in enumerate(names)}
    of_stream = np.array([index[application] for application, _ in columns.streams], np.int32)
    return tuple(names), of_stream[columns.stream]


def _cells(hour: I64, application: I32, device: I32) -> tuple[I32, I64]:
    """Number the (hour, application, device) of each event; also the first event of each number."""
    applications, devices = int(application.max(initial=0)) + 1, int(device.max(initial=0)) + 1
    keys = (hour - hour.min(initial=0)) * applications + application
    if (int(keys.max(initial=0)) + 1) * devices >= _KEY_MAX:
        keys = number_keys(keys)[0].astype(np.int64)
    return number_keys(keys * devices + device)


def _sums(columns: EventColumns, cell: I32, cells: int) -> tuple[I64, I64, F64]:
    """The slots (cell · names + parameter) that have readings, their counts and their sums.

    Slots are an array where most of them are used, else they are numbered first.
    """
    names = max(1, len(columns.names))
    if cells * names <= 2 * columns.readings + 4096:
        count, parts = _accumulate(
            cell, columns.reading_offsets, columns.parameter, names, columns.value, cells * names
        )
        used = np.flatnonzero(count)
        return used, count[used], parts[used]
    slots = _slots(cell, columns.reading_offsets, columns.parameter, names)
    numbers, first = number_keys(slots)
    each = np.arange(len(slots) + 1, dtype=np.int32)
    count, parts = _accumulate(numbers, each, np.zeros(len(slots), np.int32), 1, columns.value, len(first))
    return slots[first], count, parts


@nb.njit(cache=True, nogil=True)
def _slots(cell: I32, offsets: I32, parameter: I32, names: int) -> I64:
    slots = np.empty(len(parameter), np.int64)
    for event in range(len(cell)):
        base = np.int64(cell[event]) * names
        for reading in range(offsets[event], offsets[event + 1]):
            slots[reading] = base + parameter[reading]
    return slots


@nb.njit(cache=True, nogil=True)
def _accumulate(
    cell: I32, offsets: I32, parameter: I32, names: int, value: F64, slots: int
) -> tuple[I64, F64]:
    """Counts, and (sum, m2, min, max) per slot; two passes, so that m2 loses nothing by cancellation."""
    count = np.zeros(slots, np.int64)
    parts = np.zeros((slots, 4), np.float64)
    mean = np.zeros(slots, np.float64)
    for event in range(len(cell)):
        base = np.int64(cell[event]) * names
        for reading in range(offsets[event], offsets[event + 1]):
            at, x = base + parameter[reading], value[reading]
            if count[at] == 0:
                parts[at, 2], parts[at, 3] = x, x
            count[at] += 1
            parts[at, 0] += x
            parts[at, 2] = min(parts[at, 2], x)
            parts[at, 3] = max(parts[at, 3], x)
    for at in range(slots):
        mean[at] = parts[at, 0] / max(1, count[at])
    for event in range(len(cell)):
        base = np.int64(cell[event]) * names
        for reading in range(offsets[event], offsets[event + 1]):
            at = base + parameter[reading]
            difference = value[reading] - mean[at]
            parts[at, 1] += difference * difference
    return count, parts
