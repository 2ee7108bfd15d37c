"""What detectors have learnt, as a table for people and other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.detectors.abstract import Learnt
from tocsin.events import I64
from tocsin.processing.state import TenantState
from tocsin.runtimes.embedded.worker import Worker

_SERIES_PER_PART: Final = 500


def models_of(
    workers: Sequence[Worker], tenant: str, recorded_ms: int, series_max: int
) -> Iterator[pa.Table]:
    """A row per number learnt of the tenant's series, of the first `series_max` of each partition.

    In parts of some series each: a busy tenant has millions of such rows. Holds the worker's lock while the
    numbers of a part are copied.
    """
    for worker in workers:
        for first in range(0, series_max, _SERIES_PER_PART):
            with worker.lock:
                state = worker.state.tenants.get(tenant)
                last = min(state.series.count if state else 0, first + _SERIES_PER_PART, series_max)
                tables = list(_tables(state, recorded_ms, first, last)) if state and first < last else []
            if tables:
                yield pa.concat_tables(tables)
            if last < first + _SERIES_PER_PART:
                break


def _tables(state: TenantState, recorded_ms: int, first: int, last: int) -> Iterator[pa.Table]:
    keys = [state.series_key(number) for number in range(first, last)]
    applications = pa.array([key.application for key in keys], pa.string())
    devices = pa.array([key.device for key in keys], pa.string())
    parameters = pa.array([key.parameter for key in keys], pa.string())
    for name, slot in state.slots.items():
        for learnt in slot.detector.learnt(slot.state.hot[first:last], slot.state.cells[first:last]):
            rows = pa.array(learnt.series)
            columns = {
                "tenant": _repeated(state.tenant, learnt),
                "recorded": _times(recorded_ms, len(learnt.value)),
                "application": applications.take(rows),
                "device": devices.take(rows),
                "parameter": parameters.take(rows),
                "detector": _repeated(name, learnt),
                "hour_of_week": pa.array(learnt.hour_of_week, pa.int32(), mask=learnt.hour_of_week < 0),
                "name": _repeated(learnt.name, learnt),
                "value": pa.array(learnt.value),
            }
            yield pa.table(columns)


def _repeated(text: str, learnt: Learnt) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), len(learnt.value))


def _times(recorded_ms: int, count: int) -> pa.Array:
    stamps: I64 = np.full(count, recorded_ms, np.int64)
    return pa.array(stamps).cast(pa.timestamp("ms", "UTC"))
