"""How many events a second the lake takes per core: columns merged, aggregated, written as Parquet, synced.

Appends batches of 5,000 events with 3 readings of 10,000 devices, as the log hands them over: a record for
each of its partitions. Prints one JSON line. `--profile` shows where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tocsin.clock import ManualClock
from tocsin.events import EventBatch, Strings, empty_text
from tocsin.lake.delta import DeltaLake
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import encode_events

BATCH_EVENTS = 5_000
DEVICES = 10_000
PARTITIONS = 4
START_MS = 1_767_225_600_000


def batch(number: int, names: Strings) -> EventBatch:
    """Every device reports once a minute; values have two decimals, as sensors send them."""
    rng = np.random.default_rng(number)
    first = number * BATCH_EVENTS
    rows = np.arange(first, first + BATCH_EVENTS)
    return EventBatch(
        device=names.take(rows % DEVICES),
        ts=START_MS + rows // DEVICES * 60_000 + rng.integers(0, 1000, BATCH_EVENTS),
        flags=np.ones(BATCH_EVENTS, np.uint8),
        stream=np.zeros(BATCH_EVENTS, np.int32),
        reading_offsets=np.arange(0, 3 * BATCH_EVENTS + 1, 3, dtype=np.int32),
        parameter=np.tile(np.arange(3, dtype=np.int32), BATCH_EVENTS),
        value=np.round(rng.normal(20.0, 3.0, 3 * BATCH_EVENTS), 2),
        text=empty_text(BATCH_EVENTS),
        text_count=np.zeros(BATCH_EVENTS, np.int32),
        event_id=empty_text(BATCH_EVENTS),
        names=("temperature", "humidity", "noise"),
        streams=(("plant", "1.0"),),
    )


def records(batches: int, first: int = 0) -> Iterator[Record]:
    """The batches as log records, devices dealt out to partitions."""
    names = Strings.of([f"device-{number:05d}" for number in range(DEVICES)])
    share = BATCH_EVENTS // PARTITIONS
    for number in range(first, first + batches):
        whole = batch(number, names)
        for partition in range(PARTITIONS):
            own = whole.take(np.arange(partition, BATCH_EVENTS, PARTITIONS))
            arrival_ms = START_MS + number * 30_000 + 1_000
            payload = encode_events(own)
            yield Record(partition, number * share, len(own), RecordKind.EVENTS, "acme", arrival_ms, payload)


def measure(batches: int, appends: int, *, profile: bool) -> dict[str, float]:
    """Append in `appends` parts after a short one that compiles the kernels."""
    with tempfile.TemporaryDirectory() as folder:
        lake = DeltaLake(Path(folder) / "lake", ManualClock(START_MS))
        lake.append(list(records(2)))
        parts = [list(records(batches, 2 + part * batches)) for part in range(appends)]
        profiler = cProfile.Profile(builtins=True)
        cpu, wall = time.process_time(), time.perf_counter()
        if profile:
            profiler.enable()
        for part in parts:
            lake.append(part)
        profiler.disable()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)
        stored = sum(entry.size_bytes for entry in lake.snapshot().files["events"])
        lake.close()
    events = batches * appends * BATCH_EVENTS
    return {
        "lake_append_events_per_s_per_core": round(events / cpu),
        "lake_append_events_per_s": round(events / wall),
        "lake_append_cpu_s_per_million_events": round(cpu / events * 1e6, 3),
        "lake_bytes_per_event": round(stored / (events + 2 * BATCH_EVENTS), 1),
    }


def main() -> None:
    """Print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--appends", type=int, default=4)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.batches, options.appends, profile=options.profile)))


if __name__ == "__main__":
    main()
