"""The log lines that a simulated fleet streams: mostly in order, some late, twice, misdated or broken."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from proof.simulation.plan import START_MS, Body

_OTHER_RUN: Final = 0x106_5
_SHARE: Final = 0.4
CLIENTS: Final = 100  # beside those of readings
_COMPONENTS: Final = ("engine", "door", "belt")
_DAY_MS: Final = 86_400_000
_BROKEN: Final = (
    '{"device":"press-0","component":"door","time":"yesterday","text":"x"}',
    '{"device":"press-0","component":"door","text":"x"}',
    '{"device":"press-0","component":"door","time":1767225600000,"text":7}',
    "no json",
)


@dataclass(frozen=True, slots=True)
class LogRun:
    """What a plan has of streams of lines."""

    bodies: tuple[Body, ...] = ()
    devices: tuple[str, ...] = ()
    window_s: int = 300
    quiet_s: int = 60


def log_run(seed: int, span_s: float) -> LogRun:
    """Drawn apart from the rest of a plan, which stays what it was; most seeds have none."""
    rng = random.Random(seed ^ _OTHER_RUN)
    if rng.random() >= _SHARE:
        return LogRun()
    devices = tuple(f"press-{number}" for number in range(rng.choice((1, 2))))
    bodies = [
        body
        for number, device in enumerate(devices)
        for body in _of_device(rng, device, CLIENTS + number, span_s)
    ]
    return LogRun(
        bodies=tuple(bodies),
        devices=devices,
        window_s=rng.choice((20, 60, 300)),
        quiet_s=rng.choice((0, 60, 200)),
    )


def _of_device(rng: random.Random, device: str, client: int, span_s: float) -> Iterator[Body]:
    odd, keyed = rng.choice((0.0, 0.05, 0.2)), rng.random() < 0.8
    step_s, at_s = rng.choice((15.0, 40.0, 90.0)), rng.uniform(5, 60)
    held: list[tuple[float, str]] = []
    while at_s < span_s * 0.9:
        lines = "".join(lines_of(rng, device, at_s, odd))
        sent_s = at_s + (rng.uniform(60, 900) if rng.random() < odd else 0.0)  # held up: what came after it
        held.append((sent_s, lines))  # comes before
        at_s += step_s + (rng.uniform(300, 900) if rng.random() < 0.05 else 0.0)  # it was off
    for number, (sent_s, text) in enumerate(sorted(held)):
        sequence = f"{number}" if keyed else ""
        twice = keyed and rng.random() < 0.15
        yield Body(at_s=sent_s, client=client, text=text, sequence=sequence, twice=twice, logs=True)


def lines_of(rng: random.Random, device: str, at_s: float, odd: float) -> Iterator[str]:
    """What a device writes within some seconds; the share `odd` of it is misdated, broken or has more."""
    time_ms = START_MS + round(at_s * 1000)
    for _ in range(rng.choice((1, 3, 8, 20))):
        time_ms += rng.randrange(0, 900)
        if rng.random() < odd / 2:
            yield rng.choice(_BROKEN) + "\n"
        shifted = rng.random() < odd
        sent: dict[str, Any] = {
            "device": device,
            "component": rng.choice(_COMPONENTS),
            "time": time_ms + (rng.choice((-50_000, -2_000, 30_000, 2 * _DAY_MS)) if shifted else 0),
            "text": _text(rng, time_ms),
        }
        if rng.random() < 0.2:
            sent["level"] = rng.choice(("info", "WARN"))
        if rng.random() < odd:
            sent["rack"] = rng.randrange(9)
        yield json.dumps(sent, separators=(",", ":")) + "\n"


def _text(rng: random.Random, time_ms: int) -> str:
    """Mostly without a time; some with one of their own, and what continues those."""
    drawn = rng.random()
    if drawn < 0.08:
        return f"fault {rng.choice(('door', 'belt'))}"
    if drawn < 0.16:
        return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ} state {rng.randrange(5)}"
    if drawn < 0.2:
        return "  at frame\n  at main"
    return f"info {rng.getrandbits(rng.choice((16, 200))):x}"
