"""Dumps of a device whose logs are known line by line, to show to the detector of logs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tocsin.dump_detectors.abstract import Device, Finding
from tocsin.dump_detectors.conformance import Sample, made_sample, outcomes
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dumps.archive import Archive
from tocsin.log_detector.detector import Logs

START_MS = 1_767_571_200_000  # Monday, 2026-01-05
HOUR_MS = 3_600_000
LEARNT = 192
CONFIG: dict[str, Any] = {}
Rows = list[tuple[int, str]]
Change = Callable[[int, Rows], Rows]


def usual(number: int, rng: random.Random) -> Rows:
    """An hour of the engine's log: (ms into the hour, line without its stamp)."""
    rows: Rows = []
    for text, count in (("INFO cycle {n} done, force {f:.1f} kN", 60), ("DEBUG heartbeat {n}", 40)):
        for _ in range(count + rng.randint(-5, 5)):
            rows.append((rng.randrange(HOUR_MS), text.format(n=rng.randrange(10**6), f=rng.gauss(42, 0.8))))
    for _ in range(rng.randint(2, 6)):
        rows.append((rng.randrange(HOUR_MS), f"WARN waited {rng.randrange(900)} ms for the store"))
    if number % 4 == 0:
        rows += startup(rng.randrange(HOUR_MS - 10_000))
    return rows


def startup(at_ms: int, order: Sequence[int] = (0, 1, 2, 3)) -> Rows:
    """What the engine says when it starts, a few milliseconds apart."""
    words = ("power stage on", "encoder found", "parameters read", "regulator closed")
    return [(at_ms + place, f"INFO {words[word]}") for place, word in enumerate(order)]


def dump(number: int, change: Change | None = None, others: Mapping[str, bytes] | None = None) -> Sample:
    """The hour `number` of two components, of which `change` alters the engine's."""
    rng = random.Random(number)
    rows = usual(number, rng)
    if change is not None:
        rows = change(number, rows)
    from_ms = START_MS + number * HOUR_MS
    door = [(rng.randrange(HOUR_MS), "INFO door closed") for _ in range(rng.randint(15, 25))]
    members = {"engine/engine.log": log(from_ms, rows), "door.log": log(from_ms, door)}
    return made_sample(number, members | dict(others or {}), from_ms, from_ms + HOUR_MS)


def log(from_ms: int, rows: Rows) -> bytes:
    """The lines in the order of their times."""
    return b"".join(f"{stamp(from_ms + ms)} {text}\n".encode() for ms, text in sorted(rows))


def stamp(ms: int) -> str:
    """As RFC 3339 has it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def learnt() -> bytes:
    """What the detector knows after eight healthy days."""
    return outcomes(Logs, [dump(number) for number in range(1, LEARNT + 1)], CONFIG)[-1].state


def found(samples: Sequence[Sample]) -> list[tuple[Finding, ...]]:
    """What a detector that has learnt the normal finds in each of them."""
    instance = Logs()
    instance.setup(CONFIG)
    instance.start(Device(tenant="t", device="d"))
    instance.load(learnt(), Logs.version)
    return [tuple(instance.process(ArchiveDump(each.facts, Archive(each.source)))) for each in samples]
