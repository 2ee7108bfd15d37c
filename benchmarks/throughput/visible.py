"""How long after a request is accepted its episode can be seen in the API, while 100,000 readings/s come in.

Probes are devices of their own with six hours of quiet history. In turn, each sends ten minutes of wild
readings in one request; the clock runs from the answer to that request until the API lists an episode.
"""

from __future__ import annotations

import json
import time

import httpx
import numpy as np

from benchmarks.serving import (
    BODY_EVENTS,
    DEVICES,
    PARAMETERS,
    STEP_S,
    Load,
    serving,
    start_of,
    wait_until_done,
)
from tocsin.testing import Server

READINGS_PER_S = 100_000
SECONDS = 40
PROBES = 150
QUIET_ROUNDS = 360
WILD_ROUNDS = 10
GIVE_UP_S = 30


def wild_body(probe: int, start_ms: int) -> bytes:
    """Ten minutes of readings that no detector could call normal."""
    return b"".join(
        b'{"device":"probe-%06d","ts":%d,"temperature":%d.5}\n'
        % (probe, start_ms + minute * STEP_S * 1000, 500 + minute)
        for minute in range(WILD_ROUNDS)
    )


def seconds_until_visible(client: httpx.Client, probe: int, start_ms: int) -> float:
    """Send a probe's wild readings; the time from the answer to the first episode of the device."""
    client.post("/v1/events", content=wild_body(probe, start_ms)).raise_for_status()
    accepted_s = time.monotonic()
    while time.monotonic() - accepted_s < GIVE_UP_S:
        page = client.get("/v1/episodes", params={"device": f"probe-{probe:06}"}).raise_for_status().json()
        if page["episodes"]:
            return time.monotonic() - accepted_s
        time.sleep(0.002)
    raise TimeoutError(f"no episode of probe {probe} after {GIVE_UP_S} s")


def measure(server: Server) -> list[float]:
    """The times of all probes, under load."""
    rate = READINGS_PER_S / PARAMETERS / BODY_EVENTS
    rounds = int(SECONDS * rate * BODY_EVENTS / DEVICES)
    quiet_ms = start_of(QUIET_ROUNDS + WILD_ROUNDS)
    wild_ms = quiet_ms + QUIET_ROUNDS * STEP_S * 1000
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
    with (
        Load(server, rounds=QUIET_ROUNDS, start_ms=quiet_ms, devices=PROBES, prefix="probe") as quiet,
        Load(server, rounds=rounds, start_ms=start_of(rounds), bodies_per_s=rate) as load,
        httpx.Client(base_url=server.url, headers=headers, timeout=60) as client,
    ):
        quiet.send_all()
        wait_until_done(server)
        load.send()
        time.sleep(2)
        times = [seconds_until_visible(client, probe, wild_ms) for probe in range(PROBES)]
        load.result()
    return times


def main() -> None:
    """Measure, print percentiles in ms."""
    with serving() as server:
        times_ms = np.array(measure(server)) * 1000
    figures = {
        "visible_p50_ms": round(float(np.percentile(times_ms, 50)), 1),
        "visible_p99_ms": round(float(np.percentile(times_ms, 99)), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
