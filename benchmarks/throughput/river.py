"""How many readings a second river scores with the same kind of model, on one core.

Per series a mean, a variance, an exponential average and a Gaussian scorer, one reading after another,
without input or output. The readings are those that ingest.py sends, parsed before the clock starts. It is
measured in the same run as ingest.py, so that `ingest_over_river` compares the two on the same machine at the
same time.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from river import anomaly, stats

from benchmarks.load import PARAMETERS, Workload
from benchmarks.serving import BODY_EVENTS, DEVICES, start_of

WARM_UP_ROUNDS = 101  # before these river's scorer answers 0
ROUNDS = 10
SCORED_SHARE_MIN = 0.99


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


def rounds_of_events() -> list[list[dict[str, Any]]]:
    """The distinct rounds of the load generator: one event of each device in each."""
    work = Workload(DEVICES, BODY_EVENTS, rounds=20, start_ms=start_of(20))
    bodies = iter(work.templates())
    return [
        [json.loads(line) for body in itertools.islice(bodies, work.parts) for line in body.splitlines()]
        for _ in range(min(work.rounds, work.distinct))
    ]


def readings_per_s() -> float:
    """Readings that river scores and learns in a second."""
    rounds = itertools.cycle(rounds_of_events())
    models: defaultdict[tuple[str, str], Model] = defaultdict(Model)
    _score(itertools.islice(rounds, WARM_UP_ROUNDS), models)
    started_s = time.perf_counter()
    scores = _score(itertools.islice(rounds, ROUNDS), models)
    elapsed_s = time.perf_counter() - started_s
    scored = sum(0 < score <= 1 for score in scores)  # before its warm-up river answers 0
    if len(scores) != ROUNDS * DEVICES * len(PARAMETERS) or scored < SCORED_SHARE_MIN * len(scores):
        raise RuntimeError(f"river has scored {scored} of {len(scores)} readings")
    return len(scores) / elapsed_s


def _score(
    rounds: Iterable[list[dict[str, Any]]], models: defaultdict[tuple[str, str], Model]
) -> list[float]:
    return [
        models[event["device"], parameter].step(event[parameter])
        for events in rounds
        for event in events
        for parameter in PARAMETERS
    ]


def main() -> None:
    """Print the rate."""
    print(json.dumps({"river_readings_per_s": round(readings_per_s())}))


if __name__ == "__main__":
    main()
