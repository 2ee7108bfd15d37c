"""Events a second through the whole path, against Polars only parsing the same bodies from memory."""

from __future__ import annotations

import json
import time

import polars as pl

from benchmarks.ingesting import measure_ingest
from benchmarks.load import PARAMETERS, Workload
from benchmarks.serving import BODY_EVENTS, DEVICES, start_of

ROUNDS = 300
POLARS_ROUNDS = 100


def polars_parse_events_per_s() -> float:
    """Parse one body after another from memory: schema given, time stamps parsed to datetimes."""
    work = Workload(DEVICES, BODY_EVENTS, POLARS_ROUNDS, start_of(POLARS_ROUNDS))
    templates = work.templates()
    bodies = [work.body(number, templates) for number in range(work.bodies)]
    schema = {"device": pl.String, "ts": pl.String, **dict.fromkeys(PARAMETERS, pl.Float64)}
    stamp = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ms")
    started_s = time.perf_counter()
    rows = sum(len(pl.read_ndjson(body, schema=schema).with_columns(stamp)) for body in bodies)
    return rows / (time.perf_counter() - started_s)


def main() -> None:
    """Measure Polars while nothing else runs, then the whole path."""
    polars = polars_parse_events_per_s()
    found = measure_ingest(ROUNDS)
    figures = {
        "ingest_events_per_s": round(found.events_per_s),
        "ingest_acknowledged_per_s": round(found.acknowledged_per_s),
        "ingest_latency_ms_p99": round(found.latency_ms_p99, 1),
        "ingest_cpu_s_per_million_events": round(found.cpu_s_per_million_events, 2),
        "polars_parse_events_per_s": round(polars),
        "ingest_over_polars": round(found.events_per_s / polars, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
