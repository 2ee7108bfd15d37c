"""How many readings a second river scores with the same kind of model, and how Tocsin's whole path compares.

river: per series a mean, a variance, an exponential average and a Gaussian scorer, one reading after another,
without input or output. Tocsin: from the HTTP request to the episode, as in ingest.py.
"""

from __future__ import annotations

import json
import time

import numpy as np
from benchmarks.ingesting import READINGS_PER_EVENT, measure_ingest
from river import anomaly, stats

SERIES = 3_000
READINGS = 150_000


class Model:
    """One series."""

    def __init__(self) -> None:
        self.mean = stats.Mean()
        self.variance = stats.Var()
        self.average = stats.EWMean(fading_factor=2 / 11)
        self.scorer = anomaly.GaussianScorer()

    def step(self, value: float) -> float:
        score: float = self.scorer.score_one(None, value)
        self.mean.update(value)
        self.variance.update(value)
        self.average.update(value)
        self.scorer.learn_one(None, value)
        return score


def readings_per_s() -> float:
    """Readings that river scores and learns in a second, on one core."""
    values = np.random.default_rng(1).normal(20, 1, READINGS).tolist()
    models = [Model() for _ in range(SERIES)]
    started_s = time.perf_counter()
    for number, value in enumerate(values):
        models[number % SERIES].step(value)
    return READINGS / (time.perf_counter() - started_s)


def main() -> None:
    """Measure both; print the ratio."""
    river = readings_per_s()
    tocsin = measure_ingest(bodies=100).events_per_s * READINGS_PER_EVENT
    print(json.dumps({"river_readings_per_s": round(river), "ingest_over_river": round(tocsin / river, 1)}))


if __name__ == "__main__":
    main()
