"""Whether checkpoints stall acknowledgements, and whether memory grows, at 600,000 readings/s offered.

Two minutes; ten with LONG=1. The slope of memory is fitted to the last two thirds of the run: before that,
tables and caches still find their size.
"""

from __future__ import annotations

import json
import os
import time

import numpy as np

from benchmarks.serving import DEVICES, PARAMETERS, Load, rss_bytes, serving, start_of

READINGS_PER_S = 600_000
BODY_EVENTS = 1_000
SECONDS = 600 if os.environ.get("LONG") else 120


def main() -> None:
    """Offer the load, watch memory once a second."""
    events_per_s = READINGS_PER_S / PARAMETERS
    rounds = int(SECONDS * events_per_s / DEVICES)
    options = {
        "rounds": rounds,
        "body_events": BODY_EVENTS,
        "bodies_per_s": events_per_s / BODY_EVENTS,
        "seconds_max": SECONDS,
        "connections": 8,
    }
    samples: list[tuple[float, float]] = []
    with serving() as server, Load(server, lazy=True, start_ms=start_of(rounds), **options) as load:
        started_s = time.monotonic()
        load.send()
        while (elapsed_s := time.monotonic() - started_s) < SECONDS:
            samples.append((elapsed_s, rss_bytes(server.pid) / 2**20))
            time.sleep(1)
        sent = load.result()
    late = np.array(samples)[len(samples) // 3 :]
    slope_mib_per_s = np.polyfit(late[:, 0], late[:, 1], 1)[0]
    figures = {
        "checkpoint_stall_ms_max": round(sent["pause_ms_max"], 1),
        "checkpoint_latency_ms_p99": round(sent["latency_ms_p99"], 1),
        "checkpoint_taken_of_offered": round(sent["statuses"]["200"] * BODY_EVENTS / (rounds * DEVICES), 3),
        "rss_slope_mib_per_hour": round(float(slope_mib_per_s) * 3600, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
