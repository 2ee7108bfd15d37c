"""Hour aggregates: count, sum, squares about the mean, least and greatest value of each series and hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tocsin.events import F64, I32, I64, U8
from tocsin.lake.columns import EventColumns, arrow_names, arrow_strings, arrow_times, joined
from tocsin.lake.feed import Feed
from tocsin.lake.grouping import PLAUSIBLE_AHEAD_MS, PLAUSIBLE_FROM_MS, plausible
from tocsin.lake.numbering import number_keys
from tocsin.lake.schemas import OVERFLOW_DATE

HOUR_MS: Final = 3_600_000

_OVERFLOW_MONTH: Final = -1
_SLOTS_MIN: Final = 4096
_NEW, _PLAUSIBLE, _STRAY = range(3)

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


class HourSums:
    """Gathers the partials of a feed's blocks: one row per key where most keys occur, else one per block.

    Keys are slots of an array as long as that is no longer than the readings, which bounds its memory.
    """

    def __init__(self, feed: Feed) -> None:
        names = dict.fromkeys(application for application, _ in feed.streams)
        number = {name: position for position, name in enumerate(names)}
        self._applications: Final = tuple(names)
        self._of_stream: Final = np.array([number[application] for application, _ in feed.streams], np.int32)
        first, last = feed.span_ms[0] // HOUR_MS, feed.span_ms[1] // HOUR_MS
        self._shape: Final = (
            first,
            max(1, len(names)),
            max(1, len(feed.devices)),
            max(1, len(feed.names)),
        )
        cells = (last - first + 1) * self._shape[1] * self._shape[2]
        self._dense: Final = cells * self._shape[3] <= feed.readings + _SLOTS_MIN
        self._parts: Final[F64] = np.zeros((cells * self._shape[3] if self._dense else 0, 6), np.float64)
        self._kind: Final[U8] = np.zeros(cells if self._dense else 0, np.uint8)
        self._numbered: Final[list[HourColumns]] = []

    def add(self, columns: EventColumns) -> None:
        """Take in a block."""
        if not self._dense:
            self._numbered.append(self._number(columns))
            return
        _add_counted_out(
            columns.ts,
            columns.arrival,
            self._of_stream[columns.stream],
            columns.device,
            columns.reading_offsets,
            columns.parameter,
            columns.value,
            self._shape,
            self._parts,
            self._kind,
        )

    def result(self) -> HourColumns:
        """The partials of all blocks so far."""
        if not self._dense:
            return _joined(self._applications, self._numbered)
        first, applications, devices, names = self._shape
        slot = np.flatnonzero(self._parts[:, _COUNT])
        cell = slot // names
        hour_ms = (cell // (applications * devices) + first) * HOUR_MS
        return self._columns(
            application=cell // devices % applications,
            device=cell % devices,
            parameter=slot % names,
            hour_ms=hour_ms,
            stray=self._kind[cell] == _STRAY,
            parts=self._parts[slot],
        )

    def _number(self, columns: EventColumns) -> HourColumns:
        """Partials of one block, its keys numbered as they first appear."""
        first, applications, devices, names = self._shape
        application = self._of_stream[columns.stream]
        keys = number_keys((columns.ts // HOUR_MS - first) * applications + application)[0]
        cell, cell_event = number_keys(keys.astype(np.int64) * devices + columns.device)
        slots = _slots(cell, columns.reading_offsets, columns.parameter, names)
        numbers, first_reading = number_keys(slots)
        parts: F64 = np.zeros((len(first_reading), 6), np.float64)
        _add_numbered(numbers, columns.value, parts)
        slot = slots[first_reading]
        event = cell_event[slot // names]
        return self._columns(
            application=application[event],
            device=columns.device[event],
            parameter=slot % names,
            hour_ms=columns.ts[event] // HOUR_MS * HOUR_MS,
            stray=~plausible(columns.ts[event], columns.arrival[event]),
            parts=parts,
        )

    def _columns(
        self,
        *,
        application: npt.NDArray[Any],
        device: npt.NDArray[Any],
        parameter: I64,
        hour_ms: I64,
        stray: npt.NDArray[np.bool_],
        parts: F64,
    ) -> HourColumns:
        month = hour_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
        month[stray] = _OVERFLOW_MONTH
        return HourColumns(
            application=self._applications,
            application_of=application.astype(np.int32),
            device=device.astype(np.int32),
            parameter=parameter.astype(np.int32),
            hour_ms=hour_ms,
            count=parts[:, _COUNT].astype(np.int64),
            sum=parts[:, _SUM],
            m2=np.where(parts[:, _M2] >= 0, parts[:, _M2], np.inf),  # squares beyond float64 may leave NaN
            min=parts[:, _MIN],
            max=parts[:, _MAX],
            month=month,
        )


def aggregate_hours(feed: Feed) -> HourColumns:
    """Partials over all readings of these events."""
    sums = HourSums(feed)
    for block in feed.blocks:
        sums.add(block)
    return sums.result()


def _joined(applications: tuple[str, ...], parts: list[HourColumns]) -> HourColumns:
    return HourColumns(
        application=applications,
        application_of=joined([part.application_of for part in parts], np.int32),
        device=joined([part.device for part in parts], np.int32),
        parameter=joined([part.parameter for part in parts], np.int32),
        hour_ms=joined([part.hour_ms for part in parts], np.int64),
        count=joined([part.count for part in parts], np.int64),
        sum=joined([part.sum for part in parts], np.float64),
        m2=joined([part.m2 for part in parts], np.float64),
        min=joined([part.min for part in parts], np.float64),
        max=joined([part.max for part in parts], np.float64),
        month=joined([part.month for part in parts], np.int64),
    )


def hour_table(feed: Feed, hours: HourColumns, chosen: I64 | slice, revision: int) -> pa.Table:
    """The chosen rows as those of the files of `hours`."""
    devices = arrow_strings(feed.devices)
    arrays = {
        "application": arrow_names(hours.application_of[chosen], hours.application),
        "device": pa.DictionaryArray.from_arrays(pa.array(hours.device[chosen]), devices),
        "parameter": arrow_names(hours.parameter[chosen], feed.names),
        "hour": arrow_times(hours.hour_ms[chosen]),
        "count": pa.array(hours.count[chosen]),
        "sum": pa.array(hours.sum[chosen]),
        "m2": pa.array(hours.m2[chosen]),
        "min": pa.array(hours.min[chosen]),
        "max": pa.array(hours.max[chosen]),
        "revision": pa.array(np.full(len(hours.count[chosen]), revision, np.int32)),
    }
    schema = pa.schema([pa.field(name, array.type, nullable=False) for name, array in arrays.items()])
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def hour_partition(tenant: str, month: int) -> dict[str, str]:
    """The partition of `hours` that a month stands for."""
    first = OVERFLOW_DATE if month == _OVERFLOW_MONTH else date(1970 + month // 12, 1 + month % 12, 1)
    return {"tenant": tenant, "month": first.isoformat()}


@nb.njit(cache=True, nogil=True)
def _slots(cell: I32, offsets: I32, parameter: I32, names: int) -> I64:
    slots = np.empty(len(parameter), np.int64)
    for event in range(len(cell)):
        base = np.int64(cell[event]) * names
        for reading in range(offsets[event], offsets[event + 1]):
            slots[reading] = base + parameter[reading]
    return slots


@nb.njit(cache=True, nogil=True)
def _add_counted_out(
    ts: I64,
    arrival: I64,
    application: I32,
    device: I32,
    offsets: I32,
    parameter: I32,
    value: F64,
    shape: tuple[int, int, int, int],
    parts: F64,
    kind: U8,
) -> None:
    """Add readings to the slots that arithmetic gives; a cell is of the kind of its first event."""
    first_hour, applications, devices, names = shape
    for event in range(len(ts)):
        hour = ts[event] // HOUR_MS - first_hour
        cell = (hour * applications + application[event]) * devices + device[event]
        base = cell * names
        for reading in range(offsets[event], offsets[event + 1]):
            _add(parts, base + parameter[reading], value[reading])
        if kind[cell] == _NEW:
            stray = ts[event] < PLAUSIBLE_FROM_MS or ts[event] > arrival[event] + PLAUSIBLE_AHEAD_MS
            kind[cell] = _STRAY if stray else _PLAUSIBLE


@nb.njit(cache=True, nogil=True)
def _add_numbered(numbers: I32, value: F64, parts: F64) -> None:
    for reading in range(len(value)):
        _add(parts, numbers[reading], value[reading])


@nb.njit(cache=True, nogil=True, inline="always")
def _add(parts: F64, at: int, x: float) -> None:
    """Count, mean, sum, m2, min and max in one pass (Welford 1962: m2 loses nothing by cancellation)."""
    count = parts[at, 0] + 1.0
    if count == 1.0:
        parts[at, 4], parts[at, 5] = x, x
    difference = x - parts[at, 1]
    mean = parts[at, 1] + difference / count
    parts[at, 0] = count
    parts[at, 1] = mean
    parts[at, 2] += x
    parts[at, 3] += difference * (x - mean)
    parts[at, 4] = min(parts[at, 4], x)
    parts[at, 5] = max(parts[at, 5], x)
