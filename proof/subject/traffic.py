"""What devices send in a proof: steady series with a shift; late, repeated, conflicting rows; bad lines."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

START_MS: Final = 1_700_000_000_000
STEP_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Body:
    """One request of a producer; the producer sends its bodies in order."""

    producer: str
    sequence: str
    payload: bytes


def bodies(
    producer: str, seed: int, *, devices: int = 4, steps: int = 60, body_steps: int = 3
) -> Iterator[Body]:
    """All bodies of one producer, for devices that nobody else sends for."""
    rng = random.Random(f"{producer}/{seed}")
    held: list[str] = []
    names = [f"{producer}-pump-{number}" for number in range(devices)]
    shifts = {name: rng.randrange(steps // 3, steps) for name in names}
    for number, first in enumerate(range(0, steps, body_steps)):
        lines = [
            line
            for step in range(first, min(first + body_steps, steps))
            for name in names
            for line in _lines(name, step, shifts[name], rng)
        ]
        late = [line for line in lines if rng.random() < 0.08]
        now = [line for line in lines if line not in late]
        if held and rng.random() < 0.5:
            now += held
            held = []
        held += late
        if rng.random() < 0.3:
            now.insert(
                rng.randrange(len(now) + 1), rng.choice(['{"device":', '{"device":"x","ts":1e999}', "[]"])
            )
        yield Body(producer, str(number), "\n".join(now).encode())
    yield Body(producer, str(-(-steps // body_steps)), "\n".join(held or ["[]"]).encode())


def _lines(name: str, step: int, shift: int, rng: random.Random) -> list[str]:
    """A device's rows of one step: mostly one, sometimes none, the same twice, or two that disagree."""
    shifted = 40.0 if shift <= step < shift + 12 else 0.0
    event: dict[str, Any] = {
        "device": name,
        "ts": START_MS + step * STEP_MS,
        "temperature": round(20 + shifted + rng.gauss(0, 1), 3),
        "humidity": round(50 + rng.gauss(0, 1), 3),
    }
    chance = rng.random()
    if chance < 0.03:
        return []
    if chance < 0.06:
        return [json.dumps(event)] * 2
    if chance < 0.08:
        return [json.dumps(event), json.dumps(event | {"temperature": 1.0})]
    return [json.dumps(event)]
