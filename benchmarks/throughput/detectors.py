"""How many readings a second one core scores with `seasonal`, in memory; prints one line of JSON.

Warm: 30,000 series in order, one reading each a batch, an hour of minutes. Random order: 1,000,000 series
with warm cells, a batch in an order drawn at random. Seconds are those that the thread ran, so that
neighbours on the machine do not count.
"""

from __future__ import annotations

import json
import time

import numpy as np

from tocsin.control import Settings
from tocsin.detectors.abstract import Readings, Scores, SeriesState
from tocsin.detectors.seasonal import Seasonal
from tocsin.events import I32

MINUTE_MS = 60_000


def measure() -> dict[str, float]:
    """Both figures by the names of their goals."""
    warm = np.arange(30_000, dtype=np.int32)
    shuffled = np.random.default_rng(0).permutation(1_000_000).astype(np.int32)
    return {
        "detector_readings_per_s_per_core": _readings_per_s(warm, batches=60),
        "detector_readings_per_s_per_core_random_order": _readings_per_s(shuffled, batches=6),
    }


def _readings_per_s(order: I32, batches: int) -> float:
    detector, count = Seasonal(), len(order)
    state = _warm_state(detector, count)
    rows, out = detector.settings_row(Settings(), "value"), Scores.empty(count)
    random = np.random.default_rng(1)
    zeros = np.zeros(count, np.int32)
    spent = []
    warming = 30
    for batch in range(warming + batches):
        ts = np.full(count, batch * MINUTE_MS)
        readings = Readings(order, ts, random.standard_normal(count), zeros, zeros)
        began = time.thread_time()
        detector.score(readings, state, rows, out)
        spent.append(time.thread_time() - began)
    return round(count / float(np.median(spent[warming:])))


def _warm_state(detector: Seasonal, count: int) -> SeriesState:
    hot = np.zeros(count, detector.hot_dtype)
    cells = np.zeros((count, detector.cell_count), detector.cell_dtype)
    detector.initialise(hot, cells)
    cells["deviation"], cells["visits"] = 1.0, 10
    hot["seen"] = 10 * detector.cell_count  # one reading a visit, at least
    return SeriesState(hot, cells, count)


def main() -> None:
    """Print the figures."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
