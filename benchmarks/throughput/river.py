"""How many readings a second river scores with the same kind of model, and how Tocsin's whole path compares.

river: per series a mean, a variance, an exponential average and a Gaussian scorer, one reading after another,
without input or output. Tocsin: from the HTTP request to the episode, as in ingest.py.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import Any

from river import anomaly, stats

from benchmarks.ingesting import READINGS_PER_EVENT, measure_ingest
from benchmarks.load import PARAMETERS, Workload
from benchmarks.serving import BODY_EVENTS, DEVICES, start_of

WARM_UP_ROUNDS = 100  # before these river's scorer answers 0
ROUNDS = 10


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
    """Readings that river scores and learns in a second, on one core: the events of ingest.py, as dicts."""
    work = Workload(DEVICES, BODY_EVENTS, rounds=1, start_ms=start_of(1))
    events = [json.loads(line) for body in work.templates() for line in body.splitlines()]
    models: defaultdict[tuple[str, str], Model] = defaultdict(Model)
    for _ in range(WARM_UP_ROUNDS):
        _score(events, models)
    started_s = time.perf_counter()
    for _ in range(ROUNDS):
        _score(events, models)
    return ROUNDS * len(models) / (time.perf_counter() - started_s)


def _score(events: list[dict[str, Any]], models: defaultdict[tuple[str, str], Model]) -> None:
    for event in events:
        device = event["device"]
        for parameter in PARAMETERS:
            models[device, parameter].step(event[parameter])


def main() -> None:
    """Measure both; print the ratio."""
    river = readings_per_s()
    tocsin = measure_ingest(rounds=100).events_per_s * READINGS_PER_EVENT
    print(json.dumps({"river_readings_per_s": round(river), "ingest_over_river": round(tocsin / river, 1)}))


if __name__ == "__main__":
    main()
