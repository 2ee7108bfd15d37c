"""What healthy stations measure: seasons, AR(1) noise and a random walk that is called back."""

from __future__ import annotations

import math
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import F64, I64
from tocsin.simulate.fleet import DAY_MS, Fleet

_WEEK_MS: Final = 7 * DAY_MS
_MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05 was the first Monday
_QUANTITY: Final = np.dtype(
    [
        ("deviation", "f8"),
        ("daily", "f8"),
        ("daily_peak_h", "f8"),
        ("weekly", "f8"),
        ("weekly_peak_day", "f8"),
        ("phi", "f8"),
        ("walk_points", "i8"),
        ("walk_step", "f8"),
        ("recalibration", "f8"),
    ]
)


class Signals:
    """Measures step after step for all stations.

    Every station draws from generators of its own, one for each purpose, strictly in the order of time.
    So its numbers depend neither on how many steps are asked for at once nor on other stations.
    """

    def __init__(self, fleet: Fleet) -> None:
        quantities = len(fleet.quantities)
        points_max = max(quantity.walk_points for quantity in fleet.quantities)
        seeds = np.random.SeedSequence(fleet.seed).spawn(fleet.stations)
        children = [seed.spawn(3) for seed in seeds]
        self._noise = [np.random.default_rng(child[0]) for child in children]
        self._timing = [np.random.default_rng(child[1]) for child in children]
        start = [np.random.default_rng(child[2]) for child in children]
        self.phase_ms: Final[I64] = np.array([rng.integers(fleet.interval_ms) for rng in start], np.int64)
        levels = np.array([rng.standard_normal(quantities) for rng in start])
        self._table = _quantity_table(fleet)
        spread = [q.deviation * q.level_spread for q in fleet.quantities]
        self._level = np.array([q.mean for q in fleet.quantities]) + levels * spread
        self._ar = np.array([rng.standard_normal(quantities) for rng in start])
        self._ring = np.zeros((fleet.stations, quantities, points_max))
        self._sum = np.zeros((fleet.stations, quantities))
        self._steps = 0

    def timing(self, steps: int) -> F64:
        """Uniform numbers (station, step, 3) for jitter, latency and the delivery faults."""
        return np.stack([rng.random((steps, 3)) for rng in self._timing])

    def measure(self, times_ms: I64) -> tuple[F64, F64]:
        """Values and, apart, the AR noise in them, both (station, step, quantity), for the next steps."""
        stations, steps = times_ms.shape
        normals = np.stack([rng.standard_normal((steps, 2 * len(self._table))) for rng in self._noise])
        value = np.empty((stations, steps, len(self._table)))
        noise = np.empty_like(value)
        _measure(
            times_ms,
            normals,
            self._table,
            self._level,
            self._ar,
            self._ring,
            self._sum,
            self._steps,
            value,
            noise,
        )
        self._steps += steps
        return value, noise


def _quantity_table(fleet: Fleet) -> npt.NDArray[Any]:
    """One record a quantity, which the kernel reads by name."""
    table = np.zeros(len(fleet.quantities), _QUANTITY)
    for row, quantity in zip(table, fleet.quantities, strict=True):
        for field in _QUANTITY.names or ():
            row[field] = getattr(quantity, field)
    return table


@nb.njit(cache=True, nogil=True)
def _measure(
    times_ms: I64,
    normals: F64,
    table: npt.NDArray[Any],
    level: F64,
    ar: F64,
    ring: F64,
    ring_sum: F64,
    steps_before: int,
    value: F64,
    noise: F64,
) -> None:
    stations, steps, quantities = value.shape
    for d in range(stations):
        for s in range(steps):
            day = (times_ms[d, s] % DAY_MS) / DAY_MS
            week = ((times_ms[d, s] - _MONDAY_MS) % _WEEK_MS) / _WEEK_MS
            for q in range(quantities):
                row = table[q]
                n = row.walk_points
                slot = (steps_before + s) % n
                seen = min(steps_before + s, n)
                mean = ring_sum[d, q] / seen if seen else 0.0
                walk = (1 - row.recalibration) * (mean + row.walk_step * normals[d, s, 2 * q + 1])
                ring_sum[d, q] += walk - ring[d, q, slot]
                ring[d, q, slot] = walk
                fresh = math.sqrt(1 - row.phi * row.phi) * normals[d, s, 2 * q]
                ar[d, q] = row.phi * ar[d, q] + fresh
                season = row.daily * math.cos(2 * math.pi * (day - row.daily_peak_h / 24))
                season += row.weekly * math.cos(2 * math.pi * (week - (row.weekly_peak_day + 0.5) / 7))
                noise[d, s, q] = row.deviation * ar[d, q]
                value[d, s, q] = level[d, q] + season + row.deviation * (ar[d, q] + walk)
