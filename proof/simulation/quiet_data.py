"""Log devices that stay away for longer than they may: they were off, had no network, or never come back."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from proof.simulation.log_data import CLIENTS, LogRun, lines_of
from proof.simulation.plan import SETTINGS, Body, SilenceRules

_RUN: Final = 0x51_278
_SHARE: Final = 0.4
_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3_600.0
_KINDS: Final = ("off", "off", "no network", "gone")


@dataclass(frozen=True, slots=True)
class QuietRun:
    """What a plan has of silences of logs, and all that log devices send in it."""

    bodies: tuple[Body, ...]
    past: tuple[Body, ...] = ()
    rules: SilenceRules | None = None


def falling_silent(seed: int, logs: LogRun, span_s: float) -> QuietRun:
    """Drawn apart from the rest of a plan, which stays what it was; in most seeds nobody is missed."""
    rng = random.Random(seed ^ _RUN)
    if not logs.devices or rng.random() >= _SHARE:
        return QuietRun(logs.bodies)
    bodies = [
        body
        for number, device in enumerate(logs.devices)
        for body in _of_device(rng, device, CLIENTS + number, logs.bodies, span_s)
    ]
    return QuietRun(tuple(bodies), tuple(_past(rng, logs.devices)), _rules(rng))


def _rules(rng: random.Random) -> SilenceRules:
    """A restart may bring other ones, or none: then nothing new is told for the rest of the seed."""
    times = [rng.choice((1.0, 1.2, 1.5, 2.0))] * SETTINGS
    if rng.random() < 0.4:
        times[rng.randrange(1, SETTINGS)] = rng.choice((0.0, 1.1, 3.0))
    return SilenceRules(times=tuple(times), least_s=rng.choice((60, 60, 120, 240)))


def _past(rng: random.Random, devices: Sequence[str]) -> Iterator[Body]:
    """At least seven days ago, and perhaps between; far from the hour of the day at which all else happens,
    so that it is not the pause until then which is usual in that hour.
    """
    known = [device for device in devices if device == devices[0] or rng.random() < 0.7]
    days = sorted({rng.choice((8, 9)), *rng.sample(range(1, 8), rng.choice((0, 0, 1, 2)))}, reverse=True)
    for day in days:
        at_s = rng.uniform(4 * _HOUR_S, 20 * _HOUR_S) - day * _DAY_S
        text = "".join(line for device in known for line in lines_of(rng, device, at_s, 0.0))
        yield Body(at_s=at_s, client=CLIENTS - 1, text=text, logs=True)


def _of_device(
    rng: random.Random, device: str, client: int, all_bodies: Sequence[Body], span_s: float
) -> Iterator[Body]:
    own = [body for body in all_bodies if body.client == client]
    if rng.random() < 0.15:
        yield from own  # as it was
        return
    kind, from_s = rng.choice(_KINDS), rng.uniform(0.2, 0.6) * span_s
    to_s = from_s + rng.uniform(300, 1800)
    sent = [body for body in own if body.at_s < from_s]
    if kind == "no network":
        kept = [body for body in own if from_s <= body.at_s < to_s]
        sent += [msgspec.structs.replace(body, at_s=to_s) for body in kept]
    if kind != "gone":
        sent += _back(rng, device, client, to_s)
    keyed = any(body.sequence for body in own)
    for number, body in enumerate(sent):
        sequence = f"{number}" if keyed else ""
        yield msgspec.structs.replace(body, sequence=sequence, twice=keyed and body.twice)


def _back(rng: random.Random, device: str, client: int, at_s: float) -> Iterator[Body]:
    step_s = rng.choice((15.0, 40.0, 90.0))
    for _ in range(rng.randint(1, 10)):
        text = "".join(lines_of(rng, device, at_s, 0.0))
        yield Body(at_s=at_s, client=client, text=text, twice=rng.random() < 0.15, logs=True)
        at_s += step_s
