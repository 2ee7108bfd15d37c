"""Clean simulated fleets: daily and weekly season, AR(1) noise, random walk with recalibration, no faults."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

START_MS = 1_767_225_600_000  # 2026-01-01
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """Readings of `devices` × 3 parameters, one series after another."""

    series: I64
    ts: I64
    value: F64
    device_months: float


def fleet(interval_ms: int, devices: int, days: int, seed: int) -> Fleet:
    """A fleet sampled every `interval_ms`, with seasons, noise and walks of drawn strengths."""
    random = np.random.default_rng(seed)
    steps = days * 86_400_000 // interval_ms
    count = devices * 3
    start = START_MS + random.integers(0, 7 * 86_400_000)
    ts = start + np.arange(steps) * interval_ms
    value = np.empty((count, steps))
    for row in range(count):
        value[row] = _series(ts, random)
    series = np.repeat(np.arange(count), steps)
    return Fleet(series, np.tile(ts, count), value.ravel(), devices * days / 30.0)


def _series(ts: I64, random: np.random.Generator) -> F64:
    day, week = ts / 86_400_000 * 2 * np.pi, ts / (7 * 86_400_000) * 2 * np.pi
    noise = 10.0 ** random.uniform(-1.5, 1.5)
    phase, lift = random.uniform(0, 2 * np.pi), random.uniform(0, 10)
    season = random.uniform(0, 10) * np.sin(day + phase) + random.uniform(0, 3) * np.sin(2 * day + phase)
    weekend = random.uniform(0, 5) * ((ts // 86_400_000 + 3) % 7 >= 5) + random.uniform(0, 3) * np.sin(week)
    stray = _autoregressive(random.standard_normal(len(ts)), 0.9)
    walk = _autoregressive(random.standard_normal(len(ts)), 1.0 - 10.0 ** random.uniform(-3, -1.5))
    return np.asarray(noise * (lift * 10 + season + weekend + stray + random.uniform(0, 1) * walk))


@nb.njit(cache=True, nogil=True)
def _autoregressive(shocks: F64, phi: float) -> F64:
    """x ← φ·x + shock, scaled to a deviation of 1; φ near 1 is a walk recalibrated by 1 − φ a step."""
    out = np.empty_like(shocks)
    scale = np.sqrt(1.0 - phi * phi)
    x = shocks[0]
    for i in range(len(shocks)):
        x = phi * x + scale * shocks[i]
        out[i] = x
    return out
