"""Events a second that one core parses and admits, against Polars parsing the same bodies with all cores.

Own seconds are those that the thread ran, so that neighbours on the machine do not count; Polars, whose
work is spread over threads, is measured by the clock on the wall.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from benchmarks.load import PARAMETERS, Workload
from benchmarks.serving import BODY_EVENTS, DEVICES, start_of
from tocsin.ingest.admission import Catalogue
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.ingest.parsing.body import parse_body
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody

ROUNDS = 100
REPEATS = 5

Item = TypeVar("Item")


def seconds(work: Callable[[Item], object], items: Sequence[Item], clock: Callable[[], float]) -> float:
    """The median time of doing all items one after another."""
    spent = []
    for _ in range(REPEATS):
        began = clock()
        for item in items:
            work(item)
        spent.append(clock() - began)
    return float(np.median(spent))


def parse(body: bytes) -> ParsedBody:
    """As an HTTP request's body is parsed."""
    return parse_body(body, content_type="application/x-ndjson", content_encoding="", limits=ParseLimits())


def polars(body: bytes) -> pl.DataFrame:
    """Schema given, time stamps parsed to datetimes."""
    schema = {"device": pl.String, "ts": pl.String, **dict.fromkeys(PARAMETERS, pl.Float64)}
    stamp = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ms")
    return pl.read_ndjson(body, schema=schema).with_columns(stamp)


def admit_s(bodies: Sequence[ParsedBody]) -> float:
    """Seconds of admission once all devices are known."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        catalogue = Catalogue(CatalogueStore(Path(folder) / "catalogue.sqlite"))
        for body in bodies:
            catalogue.admit("bench", body)
        spent_s = seconds(lambda body: catalogue.admit("bench", body), bodies, time.thread_time)
        catalogue.close()
    return spent_s


def main() -> None:
    """Print the figures."""
    work = Workload(DEVICES, BODY_EVENTS, ROUNDS, start_of(ROUNDS))
    templates = work.templates()
    bodies = [work.body(number, templates) for number in range(work.bodies)]
    parsed = [parse(body) for body in bodies]
    events, readings = ROUNDS * DEVICES, sum(each.batch.readings for each in parsed)
    figures = {
        "parse_events_per_s_per_core": round(events / seconds(parse, bodies, time.thread_time)),
        "admit_readings_per_s_per_core": round(readings / admit_s(parsed)),
        "polars_parse_events_per_s": round(events / seconds(polars, bodies, time.perf_counter)),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
