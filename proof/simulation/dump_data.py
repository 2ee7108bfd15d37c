"""The dumps of a simulated fleet: mostly in order, some late, lost, damaged, in conflict or poisonous."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from proof.simulation.plan import Ask, DumpPlan, Quarantining, Steps

_OTHER_RUN: Final = 0xD0_4B5
_SHARE: Final = 0.5
_POISON: Final = ("crash", "hang", "error", "memory")
_FAULTS: Final = ("door", "belt")


@dataclass(frozen=True, slots=True)
class DumpRun:
    """What a plan has of dumps."""

    dumps: tuple[DumpPlan, ...] = ()
    steps: Steps = field(default_factory=Steps)
    releases: tuple[Quarantining, ...] = ()
    asks: tuple[Ask, ...] = ()
    gap_wait_s: int = 300


def dump_run(seed: int, devices: Sequence[str], span_s: float, *, calm: bool) -> DumpRun:
    """Drawn apart from the rest of a plan, which stays what it was; half of the seeds have no dumps."""
    rng = random.Random(seed ^ _OTHER_RUN)
    if rng.random() >= _SHARE:
        return DumpRun()
    own = rng.sample(list(devices), min(len(devices), rng.choice((1, 2))))
    return DumpRun(
        dumps=tuple(dump for device in sorted(own) for dump in _of_device(rng, device, span_s)),
        steps=Steps() if calm else _steps(rng),
        releases=tuple(_releases(rng, own, span_s)),
        asks=tuple(_asks(rng, own, span_s)),
        gap_wait_s=rng.choice((60, 240, 600)),
    )


def _of_device(rng: random.Random, device: str, span_s: float) -> Iterator[DumpPlan]:
    count, odd = rng.randint(3, 10), rng.choice((0.0, 0.1, 0.25))
    epoch, sequence = 0, rng.choice((0, 0, 3))
    for number in range(count):
        sequence += 1
        if rng.random() < odd / 3:
            epoch, sequence = epoch + 1, 1
        at_s = 5 + span_s * 0.8 * number / count
        if rng.random() < odd:
            at_s += rng.uniform(30, 900)  # what came after it comes before
        if rng.random() < odd / 2:
            continue  # lost for good
        dump = _dump(rng, device, epoch, sequence, at_s, odd)
        yield dump
        if rng.random() < odd / 2:
            yield _dump(rng, device, epoch, sequence, at_s + rng.choice((0, 1, 200)), odd)


def _dump(rng: random.Random, device: str, epoch: int, sequence: int, at_s: float, odd: float) -> DumpPlan:
    lines = [f"info {rng.getrandbits(rng.choice((32, 400))):x}" for _ in range(rng.randint(1, 12))]
    lines += [f"fault {rng.choice(_FAULTS)}" for _ in range(rng.choice((0, 0, 1, 3)))]
    if rng.random() < odd / 3:
        lines.append(f"poison {rng.choice(_POISON)}")
    rng.shuffle(lines)
    return DumpPlan(
        at_s=at_s,
        device=device,
        epoch=epoch,
        sequence=sequence,
        lines=(f"info {device} {epoch} {sequence}", *lines),
        pieces=rng.choice((0, 0, 1, 2, 4)),
        damaged=rng.random() < odd / 4,
        twice=rng.random() < 0.15,
        ends=rng.random() < 0.1,
    )


def _steps(rng: random.Random) -> Steps:
    bad = rng.choice((0.0, 0.05, 0.3))
    return Steps(
        crash=bad, hang=bad / 2, slow=bad, alter=rng.choice((0.0, 0.1)), stall=rng.choice((0.0, 0.1))
    )


def _releases(rng: random.Random, devices: Sequence[str], span_s: float) -> Iterator[Quarantining]:
    for device in devices:
        for _ in range(rng.choice((0, 0, 1, 2))):
            yield Quarantining(at_s=rng.uniform(0, span_s), device=device, released=True)


def _asks(rng: random.Random, devices: Sequence[str], span_s: float) -> Iterator[Ask]:
    for device in devices:
        if rng.random() < 0.3:
            yield Ask(at_s=rng.uniform(60, span_s), method="GET", path=f"/v1/devices/{device}/dumps")
