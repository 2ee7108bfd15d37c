"""From a seed to a plan."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from proof.simulation.data import Fleet
from proof.simulation.dump_data import dump_run
from proof.simulation.log_data import log_run
from proof.simulation.people_data import acts_of, said_of, told_of, with_cuts
from proof.simulation.places_data import (
    bodies_of_newcomers,
    changes_of,
    has_lines,
    windows_of_lines,
    windows_of_places,
    with_lines,
    with_places,
)
from proof.simulation.plan import (
    SETTINGS,
    Ask,
    Body,
    CrashPlan,
    DiskPlan,
    Network,
    Plan,
    Quarantining,
)
from proof.simulation.quiet_data import falling_silent
from proof.simulation.third_party import directory_of
from proof.simulation.windows_data import windows_of

_OTHER_RUN: Final = 0x5_1C5
_SYNC_S: Final = (0.0, 0.0, 0.01, 0.2)
ERRORS: Final = (
    *("sync", "sync", "write", "write", "truncate", "open"),
    *("create", "remove", "rename", "mkdir", "sync-folder"),
)
ASKED: Final = (
    ("/v1/anomalies", ""),
    ("/v1/devices", ""),
    ("/v1/digest", ""),
    ("/v1/episodes", ""),
    ("/v1/dead-letters", ""),
    ("/api/latest_anomalies", ""),
    ("/api/outliers_count", "time_range=4h"),
    ("/readyz", ""),
    ("/metrics", ""),
    ("/v1/audit", ""),
)
_PLACES: Final = (
    "log/",
    "log/kept",
    "commit.db",
    "checkpoints.db",
    "inbox.db",
    "abnormal.db",
    "lake/",
    "audit.db",
    "",
)


def plan_of(seed: int) -> Plan:
    """Everything that a seed decides beforehand."""
    rng = random.Random(seed)
    span_s = rng.uniform(900, 2000)
    fleet = Fleet(rng, devices=rng.choice((1, 2, 2, 3)), span_s=span_s)
    calm = rng.random() < 0.1  # now and then nothing goes wrong but the order of threads
    run = dump_run(seed, fleet.devices, span_s, calm=calm)
    logs = log_run(seed, span_s)
    quiet = falling_silent(seed, logs, span_s)
    directory = directory_of(seed, span_s, fleet.devices)
    if directory is not None:
        directory = with_places(seed, span_s, fleet.devices, directory)
    windows = windows_of(seed, span_s, (*fleet.devices * 3, *logs.devices))
    lines = has_lines(seed, windows)
    windows = (*windows, *windows_of_places(seed, span_s, directory))
    windows = (*windows, *windows_of_lines(seed, span_s)) if lines else windows
    windows = tuple(sorted(windows, key=lambda each: each.at_s))
    changes = changes_of(seed, span_s, windows)
    acts = (*acts_of(seed, span_s), *said_of(seed, span_s), *told_of(seed, span_s))
    bodies = _bodies(rng, fleet)
    bodies += bodies_of_newcomers(seed, span_s, directory)
    if lines:
        bodies = list(with_lines(seed, span_s, bodies))
    return Plan(
        seed=seed,
        devices=fleet.devices,
        bodies=(*bodies, *quiet.bodies),
        crashes=() if calm else tuple(_crashes(rng, span_s, jumps=directory is None)),
        disk=() if calm else tuple(_disk(rng, span_s)),
        asks=(*_asks(rng, span_s), *run.asks),
        quarantines=(*_quarantines(rng, fleet, span_s), *run.releases),
        acts=acts if calm else with_cuts(seed, acts),
        windows=tuple(msgspec.structs.replace(each, cut=0) for each in windows) if calm else windows,
        changes=tuple(msgspec.structs.replace(each, cut=0) for each in changes) if calm else changes,
        network=Network() if calm else _network(rng),
        partitions=rng.choice((1, 2, 2, 3)),
        segment_bytes=rng.choice((6_000, 20_000, 1_000_000)),
        switching=rng.choice((0.02, 0.1, 0.3, 0.8)),
        idle_s=rng.choice((0.5, 5.0, 5.0, 15.0)),
        tick_s=rng.choice((60.0, 60.0, 200.0)),
        sync_s=random.Random(seed ^ _OTHER_RUN).choice(_SYNC_S),
        ends_s=span_s,
        dumps=run.dumps,
        steps=run.steps,
        gap_wait_s=run.gap_wait_s,
        log_devices=logs.devices,
        window_s=logs.window_s,
        quiet_s=logs.quiet_s,
        silence=quiet.rules,
        past=quiet.past,
        directory=directory,
    )


def _bodies(rng: random.Random, fleet: Fleet) -> list[Body]:
    keyed = [rng.random() < 0.8 for _ in range(4)]
    bodies = []
    for number, (at_s, client, text) in enumerate(fleet.bodies()):
        sequence = f"{number}" if keyed[client % 4] else ""
        bodies.append(
            Body(
                at_s=at_s,
                client=client,
                text=text,
                sequence=sequence,
                twice=bool(sequence) and rng.random() < 0.1,
            )
        )
    return bodies


def _crashes(rng: random.Random, span_s: float, *, jumps: bool) -> list[CrashPlan]:
    """Without `jumps` the machine's clock goes right: what a directory said is as old as it looks."""
    crashes = []
    for _ in range(rng.choice((0, 1, 2, 2, 3, 4))):
        by_count = rng.random() < 0.8
        crashes.append(
            CrashPlan(
                kind=rng.choice(("kill", "power", "power", "power", "stop")),
                operations=int(rng.expovariate(1 / rng.choice((30, 400)))) + 1 if by_count else None,
                at_s=None if by_count else rng.uniform(0, span_s),
                down_s=rng.choice((0.1, 5.0, 200.0)),
                jump_ms=rng.choice((0, 0, 0, -3_600_000, -5_000, 7_000, 6 * 3_600_000)) * jumps,
                settings=rng.randrange(SETTINGS),
            )
        )
    return crashes


def _disk(rng: random.Random, span_s: float) -> list[DiskPlan]:
    return [_disk_fault(rng, span_s) for _ in range(rng.choice((0, 1, 1, 2, 3)))]


def _disk_fault(rng: random.Random, span_s: float) -> DiskPlan:
    """A full or slow disk for a while; or a few errors, which may come at any time, since some are rare."""
    kind = rng.choice(("full", "slow", "error", "error", "error"))
    if kind == "error":
        return DiskPlan(
            kind=kind,
            name=rng.choice(_PLACES),
            on=(rng.choice(ERRORS),),
            from_s=rng.uniform(0, span_s / 2),
            to_s=span_s,
            chance=rng.choice((1.0, 0.3, 0.02)),
            times=rng.choice((1, 1, 3)),
        )
    from_s = rng.uniform(0, span_s)
    return DiskPlan(
        kind=kind,
        name=rng.choice(_PLACES),
        on=("write", "create", "mkdir", "rename") if kind == "full" else (rng.choice(("sync", "write")),),
        from_s=from_s,
        to_s=from_s + rng.choice((1.0, 30.0, 300.0)),
        delay_s=rng.choice((0.05, 1.0, 20.0)),
        chance=rng.choice((1.0, 0.3)),
    )


def _asks(rng: random.Random, span_s: float) -> list[Ask]:
    asks = []
    for _ in range(rng.randint(0, 5)):
        path, query = rng.choice(ASKED)
        asks.append(Ask(at_s=rng.uniform(0, span_s), method="GET", path=path, query=query))
    return sorted(asks, key=lambda ask: ask.at_s)


def _quarantines(rng: random.Random, fleet: Fleet, span_s: float) -> list[Quarantining]:
    if rng.random() < 0.7:
        return []
    device, at_s = rng.choice(fleet.devices), rng.uniform(0, span_s)
    return [
        Quarantining(at_s=at_s, device=device),
        Quarantining(at_s=at_s + rng.uniform(60, 600), device=device, released=True),
    ]


def _network(rng: random.Random) -> Network:
    bad = rng.choice((0.0, 0.02, 0.1))
    return Network(
        lose_request=bad,
        lose_reply=bad,
        repeat=bad,
        cut=bad / 2,
        delay=bad,
        latency_s=rng.choice((0.001, 0.05, 0.5)),
    )
