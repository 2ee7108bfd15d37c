"""One long run: load, a calm group whose verdicts are compared, faults, and a look every second."""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from proof.laws import (
    DIGESTS,
    backtest,
    conservation_error,
    lines_error,
    lines_of,
    make_gateway,
    make_tenant,
    settled_digest,
)
from proof.neighbours.calm import GATEWAYS, CalmGroup, make_bodies
from proof.neighbours.phases import Span, percentile
from proof.soak.disk import filled, small_disk
from proof.soak.load import Load
from proof.soak.watching import Sample, look, per_hour, settled
from tocsin.testing import Server

_CONNECTIONS: Final = 2
_CALM_BODIES_PER_S: Final = 10.0
_WARM_UP_S: Final = 60.0
_FULL_S: Final = 5.0
_AFTERMATH_S: Final = 10.0
_SAMPLES_MAX: Final = 3_600
_SETTINGS: Final = {
    "TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "10",
    "TOCSIN_LAKE__FLUSH_S": "10",
    "TOCSIN_LOG__SEGMENT_BYTES": "67108864",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `fault_every_s`: a kill or a full disk so often, on average."""

    seconds: float
    events_per_s: float
    fault_every_s: float
    disk_bytes: int
    seed: int


@dataclass(slots=True)
class Watch:
    """What was seen: looks, spans of faults, and ends of the process that nobody planned."""

    server: Server
    interval_s: float
    may_fill: bool
    samples: list[Sample] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)
    kills: int = 0
    full_disks: int = 0
    unplanned_ends: int = 0
    recovery_s_max: float = 0.0

    def look(self) -> None:
        """One look; an end that nobody planned is counted, and mended."""
        if not self.server.alive():
            self.unplanned_ends += 1
            self._restart()
        if self.samples and time.monotonic() - self.samples[-1].at_s < self.interval_s:
            return
        self.samples.append(
            look(
                self.server.pid,
                self.server.data,
                at_s=time.monotonic(),
                life=self.kills + self.unplanned_ends,
                lag_records=self.server.metric("tocsin_processor_lag"),
            )
        )

    def fault(self, rng: random.Random) -> None:
        """A kill, or where it can be a full disk; returns when the server is ready again."""
        start_s = time.monotonic()
        if self.may_fill and rng.random() < 0.5:
            self.full_disks += 1
            with filled(self.server.data.parent / "ballast"):
                time.sleep(_FULL_S)
        else:
            self.kills += 1
            self.server.kill()
            self._restart()
        self.faults.append(Span(start_s, time.monotonic() + _AFTERMATH_S, hostile=True))

    def _restart(self) -> None:
        self.recovery_s_max = max(self.recovery_s_max, self.server.start())


def soak(plan: Plan) -> dict[str, Any]:
    """The whole run; its report."""
    with TemporaryDirectory(prefix="tocsin-soak-") as folder, ExitStack() as opened:
        scratch = Path(folder)
        disk = scratch / "disk"
        may_fill = opened.enter_context(small_disk(disk, plan.disk_bytes))
        bodies = make_bodies(scratch, round((2 * plan.seconds + 600) * _CALM_BODIES_PER_S), plan.seed)
        server = opened.enter_context(Server(disk / "data", _SETTINGS))
        server.log = scratch / "server.log"  # not on the disk that will be full
        calm = [make_gateway(server, server.key, f"calm-{number}") for number in range(GATEWAYS)]
        admin = make_tenant(server, "load")
        load_tokens = [make_gateway(server, admin, f"load-{number}") for number in range(_CONNECTIONS)]
        group = CalmGroup(server.url, calm, bodies, _CALM_BODIES_PER_S)
        load = Load(server.url, load_tokens, plan.events_per_s, plan.seconds)
        watch = Watch(server, max(1.0, plan.seconds / _SAMPLES_MAX), may_fill)
        group.start()
        load.start()
        _let_pass(plan, watch, group)
        heard = load.join()
        group.stop()
        group.write_sent(scratch / "sent.ndjson")
        theirs, own = settled_digest(server, admin), settled_digest(server, server.key)
        error = conservation_error(theirs["counts"], heard)
        error += conservation_error(own["counts"], group.heard()) + lines_error(lines_of(server))
        expected = backtest(scratch / "sent.ndjson")
        same = all(own[name] == expected[name] for name in DIGESTS)
        return _report(plan, watch, group) | {
            "load_events": heard.accepted,
            "load_statuses": load.statuses(),
            "calm_events": own["counts"]["events"],
            "calm_statuses": group.statuses(),
            "episodes": expected["episodes"],
            "verdicts_same": same and own["counts"]["accepted"] == expected["counts"]["accepted"],
            "conservation_error": error,
        }


def _let_pass(plan: Plan, watch: Watch, group: CalmGroup) -> None:
    rng = random.Random(plan.seed)
    end_s = time.monotonic() + plan.seconds
    next_s = time.monotonic() + plan.fault_every_s * rng.uniform(0.5, 1.5)
    while time.monotonic() < end_s:
        time.sleep(0.5)
        watch.look()
        group.check()
        if time.monotonic() >= next_s and plan.fault_every_s:
            watch.fault(rng)
            next_s = time.monotonic() + plan.fault_every_s * rng.uniform(0.5, 1.5)
            print(f"{end_s - time.monotonic():.0f} s left, {watch.samples[-1]}", file=sys.stderr, flush=True)


def _report(plan: Plan, watch: Watch, group: CalmGroup) -> dict[str, Any]:
    samples, steady = watch.samples, settled(watch.samples, min(_WARM_UP_S, plan.fault_every_s / 3))
    quiet_ms = [
        request.latency_s * 1000
        for request in group.answered()
        if not any(
            request.due_s < span.end_s and request.due_s + request.latency_s > span.start_s
            for span in watch.faults
        )
    ]
    return {
        "seconds": plan.seconds,
        "kills": watch.kills,
        "full_disks": watch.full_disks,
        "unplanned_ends": watch.unplanned_ends,
        "recovery_s_max": round(watch.recovery_s_max, 2),
        "rss_bytes_max": max(sample.rss_bytes for sample in samples),
        "rss_bytes_per_hour": per_hour(steady, lambda sample: sample.rss_bytes),
        "open_files_max": max(sample.open_files for sample in samples),
        "open_files_per_hour": per_hour(steady, lambda sample: sample.open_files),
        "threads_max": max(sample.threads for sample in samples),
        "threads_per_hour": per_hour(steady, lambda sample: sample.threads),
        "disk_bytes_max": max(sample.disk_bytes for sample in samples),
        "disk_bytes_per_hour": per_hour(steady, lambda sample: sample.disk_bytes),
        "lag_records_max": max(sample.lag_records for sample in samples),
        "latency_ms_p50": percentile(quiet_ms, 0.5) if quiet_ms else None,
        "latency_ms_p99": percentile(quiet_ms, 0.99) if quiet_ms else None,
        "latency_ms_max": max(request.latency_s for request in group.answered()) * 1000,
    }
