"""The rate of the whole path, from HTTP request to episode and lake."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from benchmarks.serving import (
    DEVICES,
    PARAMETERS,
    STEP_S,
    Load,
    cpu_s,
    require_all,
    serving,
    start_of,
    wait_until_done,
)

READINGS_PER_EVENT: Final = PARAMETERS
_WARM_UP_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """`sent_s`: until the last answer; `done_s`: until all was scored and in the lake.

    `cpu_s_per_million_events`: what the server used; it says more than rates when the machine is busy.
    """

    events_per_s: float
    acknowledged_per_s: float
    sent_s: float
    done_s: float
    latency_ms_p99: float
    cpu_s_per_million_events: float


def measure_ingest(rounds: int, connections: int = 4) -> Measured:
    """Ingest `rounds` of events into a server that has seen the devices before."""
    warm_up_ms = start_of(rounds + _WARM_UP_ROUNDS)
    start_ms = warm_up_ms + _WARM_UP_ROUNDS * STEP_S * 1000
    with (
        serving() as server,
        Load(server, rounds=_WARM_UP_ROUNDS, start_ms=warm_up_ms) as warm_up,
        Load(server, rounds=rounds, start_ms=start_ms, connections=connections) as load,
    ):
        warm_up.send_all()
        wait_until_done(server)
        started_s, used_s = time.monotonic(), cpu_s(server.pid)
        sent = load.send_all()
        wait_until_done(server)
        done_s, used_s = time.monotonic() - started_s, cpu_s(server.pid) - used_s
        require_all(server, (rounds + _WARM_UP_ROUNDS) * DEVICES, READINGS_PER_EVENT)
    events = rounds * DEVICES
    return Measured(
        events_per_s=events / done_s,
        acknowledged_per_s=events / sent["seconds"],
        sent_s=sent["seconds"],
        done_s=done_s,
        latency_ms_p99=sent["latency_ms_p99"],
        cpu_s_per_million_events=used_s / events * 1e6,
    )
