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
_CELLS_PER_EVENT_MAX: Final = 2
_CELLS_MIN: Final = 4096
_COUNT, _, _SUM, _M2, _MIN, _MAX = range(6)


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
    cell, cell_event = _cells(columns, application)
    slot, parts = _sums(columns, cell, len(cell_event))
    names = max(1, len(columns.names))
    event = cell_event[slot // names]
    month = columns.ts[event].astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    month[~plausible(columns.ts[event], columns.arrival[event])] = _OVERFLOW_MONTH
    return HourColumns(
        application=applications,
        application_of=application[event],
        device=columns.device[event],
        parameter=(slot % names).astype(np.int32),
        hour_ms=columns.ts[event] // HOUR_MS * HOUR_MS,
        count=parts[:, _COUNT].astype(np.int64),
        sum=parts[:, _SUM],
        m2=np.where(parts[:, _M2] >= 0, parts[:, _M2], np.inf),  # squares beyond float64 may leave NaN
        min=parts[:, _MIN],
        max=parts[:, _MAX],
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


def _cells(columns: EventColumns, application: I32) -> tuple[I64, I64]:
    """The number of each event's (hour, application, device); also the first event of each number.

    Numbers are counted out where most of them occur, else given as they first appear.
    """
    if not len(columns):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first_ms, last_ms = int(columns.ts.min()), int(columns.ts.max())
    first_hour, hours = first_ms // HOUR_MS, last_ms // HOUR_MS - first_ms // HOUR_MS + 1
    applications, devices = int(application.max()) + 1, len(columns.devices)
    cells = hours * applications * devices
    if cells <= _CELLS_PER_EVENT_MAX * len(columns) + _CELLS_MIN:
        return _counted_out(
            columns.ts, application, columns.device, (first_hour, applications, devices), cells
        )
    keys = (columns.ts // HOUR_MS - first_hour) * applications + application
    if cells >= _KEY_MAX:
        keys = number_keys(keys)[0].astype(np.int64)
    numbers, first = number_keys(keys * devices + columns.device)
    return numbers.astype(np.int64), first


def _sums(columns: EventColumns, cell: I64, cells: int) -> tuple[I64, F64]:
    """The slots (cell · names + parameter) that have readings, and their parts.

    Slots are an array where most of them are used, else they are numbered first.
    """
    names = max(1, len(columns.names))
    if cells * names <= 2 * columns.readings + 4096:
        parts = _accumulate(
            cell, columns.reading_offsets, columns.parameter, names, columns.value, cells * names
        )
        used = np.flatnonzero(parts[:, _COUNT])
        return used, parts[used]
    slots = _slots(cell, columns.reading_offsets, columns.parameter, names)
    numbers, first = number_keys(slots)
    each = np.arange(len(slots) + 1, dtype=np.int32)
    parts = _accumulate(
        numbers.astype(np.int64), each, np.zeros(len(slots), np.int32), 1, columns.value, len(first)
    )
    return slots[first], parts


@nb.njit(cache=True, nogil=True)
def _counted_out(
    ts: I64, application: I32, device: I32, base: tuple[int, int, int], cells: int
) -> tuple[I64, I64]:
    """The cell of each event by arithmetic, and the first event of each cell, -1 where there is none."""
    first_hour, applications, devices = base
    cell = np.empty(len(ts), np.int64)
    first = np.full(cells, -1, np.int64)
    for event in range(len(ts)):
        hour = ts[event] // 3_600_000 - first_hour
        at = (hour * applications + application[event]) * devices + device[event]
        cell[event] = at
        if first[at] < 0:
            first[at] = event
    return cell, first


@nb.njit(cache=True, nogil=True)
def _slots(cell: I64, offsets: I32, parameter: I32, names: int) -> I64:
    slots = np.empty(len(parameter), np.int64)
    for event in range(len(cell)):
        base = cell[event] * names
        for reading in range(offsets[event], offsets[event + 1]):
            slots[reading] = base + parameter[reading]
    return slots


@nb.njit(cache=True, nogil=True)
def _accumulate(cell: I64, offsets: I32, parameter: I32, names: int, value: F64, slots: int) -> F64:
    """Count, mean, sum, m2, min and max per slot, in one pass (Welford 1962: m2 loses nothing)."""
    parts = np.zeros((slots, 6), np.float64)
    for event in range(len(cell)):
        base = cell[event] * names
        for reading in range(offsets[event], offsets[event + 1]):
            part, x = parts[base + parameter[reading]], value[reading]
            if part[0] == 0.0:
                part[4], part[5] = x, x
            part[0] += 1.0
            difference = x - part[1]
            part[1] += difference / part[0]
            part[2] += x
            part[3] += difference * (x - part[1])
            part[4] = min(part[4], x)
            part[5] = max(part[5], x)
    return parts
