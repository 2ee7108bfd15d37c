"""The rate of the whole path, from HTTP request to episode and lake."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from benchmarks.serving import BODY_EVENTS, DEVICES, PARAMETERS, Load, serving, start_of, wait_until_done

READINGS_PER_EVENT: Final = PARAMETERS
_WARM_UP_BODIES: Final = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """`sent_s`: until the last answer; `done_s`: until all was scored and in the lake."""

    events_per_s: float
    acknowledged_per_s: float
    sent_s: float
    done_s: float
    latency_ms_p99: float


def measure_ingest(bodies: int, connections: int = 4) -> Measured:
    """Ingest `bodies` of 5,000 events into a server that has seen the devices before."""
    start_ms = start_of(bodies + _WARM_UP_BODIES)
    warm_up_ms = _WARM_UP_BODIES * BODY_EVENTS // DEVICES * 60_000
    with (
        serving() as server,
        Load(server, bodies=_WARM_UP_BODIES, start_ms=start_ms) as warm_up,
        Load(server, bodies=bodies, start_ms=start_ms + warm_up_ms, connections=connections) as load,
    ):
        warm_up.send_all()
        wait_until_done(server)
        started_s = time.monotonic()
        sent = load.send_all()
        wait_until_done(server)
        done_s = time.monotonic() - started_s
    events = bodies * BODY_EVENTS
    return Measured(
        events / done_s, events / sent["seconds"], sent["seconds"], done_s, sent["latency_ms_p99"]
    )
