"""Whether checkpoints stall acknowledgements, and whether memory grows, at 600,000 readings/s offered.

Two minutes; ten with LONG=1. A week of hourly events comes first, so that every hour of the week has its
cell: a cell that is new is memory that is meant to grow. The slope of memory is fitted to the last two thirds
of the run: before that, tables and caches still find their size.
"""

from __future__ import annotations

import json
import os
import time

import numpy as np

from benchmarks.serving import DEVICES, PARAMETERS, Load, rss_bytes, serving, start_of, wait_until_done

READINGS_PER_S = 600_000
BODY_EVENTS = 1_000
HOUR_S = 3600
WARM_UP_HOURS = 7 * 24
SECONDS = 600 if os.environ.get("LONG") else 120


def main() -> None:
    """Warm up, offer the load, watch memory once a second."""
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
    start_ms = start_of(rounds)
    warm_up_ms = start_ms - WARM_UP_HOURS * HOUR_S * 1000
    with (
        serving() as server,
        Load(server, rounds=WARM_UP_HOURS, start_ms=warm_up_ms, step_s=HOUR_S) as warm_up,
        Load(server, lazy=True, start_ms=start_ms, **options) as load,
    ):
        warm_up.send_all()
        wait_until_done(server)
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
