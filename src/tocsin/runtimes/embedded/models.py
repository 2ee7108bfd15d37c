"""What detectors have learnt, as a table for people and other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from tocsin.detectors.abstract import Learnt
from tocsin.events import I64
from tocsin.processing.state import TenantState
from tocsin.runtimes.embedded.worker import Worker


def models_of(workers: Sequence[Worker], tenant: str, recorded_ms: int, series_max: int) -> pa.Table:
    """A row per number learnt of the tenant's series, of the first `series_max` of each partition.

    Holds each worker's lock while the numbers are copied.
    """
    parts = []
    for worker in workers:
        with worker.lock:
            state = worker.state.tenants.get(tenant)
            if state is not None and state.series.count:
                parts += list(_tables(state, recorded_ms, series_max))
    return pa.concat_tables(parts) if parts else None


def _tables(state: TenantState, recorded_ms: int, series_max: int) -> Iterator[pa.Table]:
    count = min(state.series.count, series_max)
    keys = [state.series_key(number) for number in range(count)]
    applications = pa.array([key.application for key in keys], pa.string())
    devices = pa.array([key.device for key in keys], pa.string())
    parameters = pa.array([key.parameter for key in keys], pa.string())
    for name, slot in state.slots.items():
        for learnt in slot.detector.learnt(slot.state.hot[:count], slot.state.cells[:count]):
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
