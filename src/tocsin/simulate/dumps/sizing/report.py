"""What a fleet's dumps need: lag, workers, storage and cost, by the hour."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tocsin.events import F64
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS
from tocsin.simulate.dumps.sizing._kernel import simulate
from tocsin.simulate.dumps.sizing.assumptions import Assumptions
from tocsin.simulate.dumps.sizing.demand import Demand, demand, receiving_s
from tocsin.simulate.dumps.sizing.rules import Outcome, Rules

Column = npt.NDArray[Any]
_HOUR_S: Final = 3600.0
_DAYS_A_MONTH: Final = 30.0
_FULL: Final = 0.8
"""Workers that are busy for more of an hour than this have no room for what comes at once."""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """From a dump's last byte to its findings, in seconds; all 0 where no dump came."""

    mean_s: float
    p50_s: float
    p99_s: float
    max_s: float


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """Dumps that arrived in an hour (UTC), and what they made necessary in it.

    `busy` is the mean number of workers that their steps keep busy, `workers` the most that there were.
    """

    from_ms: int
    dumps: int
    gib: float
    busy: float
    workers: int
    lag: Lag


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for a whole run. Storage counts packed dumps, once; costs are a month's."""

    devices: int
    days: float
    dumps: int
    workers_max: int
    lag: Lag
    gib_a_day: float
    gib_kept: float
    uplink_gbit_s_max: float
    receive_cores_max: float
    commit_share_max: float
    worker_hours_a_day: float
    busy_hours_a_day: float
    worker_starts_a_day: float
    over_limit: int
    cost_workers: float
    cost_storage: float
    hours: tuple[Hour, ...]


def size_fleet(
    fleet: DumpFleet, assumed: Assumptions, from_ms: int, to_ms: int, workers: int | None = None
) -> Sizing:
    """Simulate; without `workers` there may be as many as keep the busiest hour from filling them.

    Takes about a second and 70 MiB a million dumps.
    """
    wanted = demand(fleet, assumed, from_ms, to_ms)
    bins = max(1, math.ceil((to_ms - from_ms) / HOUR_MS))
    hour_s = _HOUR_S / assumed.speed
    busy = _by_hour(wanted, wanted.work_s, bins, hour_s) / hour_s
    rules = Rules(
        workers_max=max(1, math.ceil(float(busy.max()) / _FULL)) if workers is None else workers,
        commit_s=assumed.commit_s,
        worker_start_s=assumed.worker_start_s,
        worker_idle_s=assumed.worker_idle_s,
    )
    outcome = simulate(wanted, rules, hour_s, bins)
    lag_s = outcome.done_s - wanted.arrived_s + receiving_s(assumed, wanted.size_mib)
    hours = _hours(wanted, outcome, busy, lag_s, from_ms, hour_s)
    return _sizing(fleet, assumed, rules, wanted, outcome, lag_of(lag_s), hours, (to_ms - from_ms) / DAY_MS)


def _by_hour(wanted: Demand, weights: Column, bins: int, hour_s: float) -> F64:
    """Sums by the hour of arrival; what arrives after the end, over slow lines, counts in the last one."""
    number = np.minimum(wanted.arrived_s / hour_s, bins - 1).astype(np.int64)
    return np.bincount(number, weights, bins).astype(np.float64)


def _hours(
    wanted: Demand, outcome: Outcome, busy: F64, lag_s: F64, from_ms: int, hour_s: float
) -> tuple[Hour, ...]:
    bins = len(busy)
    gib = _by_hour(wanted, wanted.size_mib, bins, hour_s) / 1024
    cuts = np.searchsorted(wanted.arrived_s, np.arange(1, bins) * hour_s)
    return tuple(
        Hour(
            from_ms=from_ms + number * HOUR_MS,
            dumps=len(lags),
            gib=round(float(gib[number]), 6),
            busy=round(float(busy[number]), 2),
            workers=int(outcome.peaks[number]),
            lag=lag_of(lags),
        )
        for number, lags in enumerate(np.split(lag_s, cuts))
    )


def lag_of(lags_s: F64) -> Lag:
    """The percentiles of some lags."""
    if not len(lags_s):
        return Lag(mean_s=0.0, p50_s=0.0, p99_s=0.0, max_s=0.0)
    found = (lags_s.mean(), *np.percentile(lags_s, (50, 99, 100)))
    mean, p50, p99, most = (round(float(value), 3) for value in found)
    return Lag(mean_s=mean, p50_s=p50, p99_s=p99, max_s=most)


def _sizing(
    fleet: DumpFleet, assumed: Assumptions, rules: Rules, wanted: Demand, outcome: Outcome, lag: Lag,
    hours: tuple[Hour, ...], days: float,
) -> Sizing:  # fmt: skip
    gib = sum(hour.gib for hour in hours)
    hour_s = _HOUR_S / assumed.speed
    mib_s_max = max(hour.gib for hour in hours) * 1024 / hour_s
    worker_hours = outcome.alive_s / _HOUR_S / days
    kept = gib / days * assumed.kept_days
    return Sizing(
        devices=fleet.devices,
        days=round(days, 3),
        dumps=len(wanted),
        workers_max=rules.workers_max,
        lag=lag,
        gib_a_day=round(gib / days, 4),
        gib_kept=round(kept, 4),
        uplink_gbit_s_max=round(mib_s_max * 8 * (1 << 20) / 1e9, 3),
        receive_cores_max=round(mib_s_max * assumed.receive_s_per_mib, 2),
        commit_share_max=round(max(hour.dumps for hour in hours) * assumed.commit_s / hour_s, 3),
        worker_hours_a_day=round(worker_hours, 4),
        busy_hours_a_day=round(float(wanted.work_s.sum()) / _HOUR_S / days, 4),
        worker_starts_a_day=round(outcome.starts / days, 1),
        over_limit=int((wanted.work_s > assumed.step_limit_s).sum()),
        cost_workers=round(worker_hours * _DAYS_A_MONTH * assumed.core_hour_price, 2),
        cost_storage=round(kept * assumed.gib_month_price, 2),
        hours=hours,
    )
