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
    slot, event, parameter = _slots(columns, cell, cell_event)
    count, parts = _accumulate(slot, columns.value, len(event))
    month = columns.ts[event].astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    month[~plausible(columns.ts[event], columns.arrival[event])] = _OVERFLOW_MONTH
    return HourColumns(
        application=applications,
        application_of=application[event],
        device=columns.device[event],
        parameter=parameter,
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


def _slots(columns: EventColumns, cell: I32, cell_event: I64) -> tuple[I64, I64, I32]:
    """Number the series and hour of each reading; also an event and the parameter of each number."""
    names = max(1, len(columns.names))
    keys = _reading_keys(cell, columns.reading_offsets, columns.parameter, names)
    if len(cell_event) * names <= 2 * len(keys) + 4096:
        present = np.flatnonzero(np.bincount(keys, minlength=1))
        slot = np.zeros(len(cell_event) * names, np.int64)
        slot[present] = np.arange(len(present))
        slots, distinct = slot[keys], present if len(keys) else present[:0]
    else:
        numbers, first = number_keys(keys)
        slots, distinct = numbers.astype(np.int64), keys[first]
    return slots, cell_event[distinct // names], (distinct % names).astype(np.int32)


@nb.njit(cache=True, nogil=True)
def _reading_keys(cell: I32, offsets: I32, parameter: I32, names: int) -> I64:
    keys = np.empty(len(parameter), np.int64)
    for event in range(len(cell)):
        base = np.int64(cell[event]) * names
        for reading in range(offsets[event], offsets[event + 1]):
            keys[reading] = base + parameter[reading]
    return keys


@nb.njit(cache=True, nogil=True)
def _accumulate(slot: I64, value: F64, slots: int) -> tuple[I64, F64]:
    """Counts, and (sum, m2, min, max) per slot; two passes, so that m2 loses nothing by cancellation."""
    count = np.zeros(slots, np.int64)
    parts = np.empty((slots, 4), np.float64)
    for i in range(slots):
        parts[i, 0], parts[i, 1], parts[i, 2], parts[i, 3] = 0.0, 0.0, np.inf, -np.inf
    for i in range(len(slot)):
        at, x = slot[i], value[i]
        count[at] += 1
        parts[at, 0] += x
        parts[at, 2] = min(parts[at, 2], x)
        parts[at, 3] = max(parts[at, 3], x)
    mean = parts[:, 0] / count
    for i in range(len(slot)):
        difference = value[i] - mean[slot[i]]
        parts[slot[i], 1] += difference * difference
    return count, parts
