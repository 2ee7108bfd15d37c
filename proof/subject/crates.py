"""Dumps that machines send in a proof, a little out of order, one of them twice, and what comes of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proof.model.digest import Key, Sums, combined
from proof.model.tally import DETECTOR, Shown, judged
from proof.simulation.archives import COMPONENT, Parcel
from proof.simulation.plan import DumpPlan
from tocsin.access.store import DEFAULT_TENANT

COUNT = 5
"""Dumps of a machine."""


@dataclass(frozen=True, slots=True)
class Crate:
    """A dump on its way. Its sender has a name of its own and numbers what it sends."""

    producer: str
    sequence: str
    parcel: Parcel


def machine_of(producer: str) -> str:
    """The machine beside a producer's pumps that sends dumps."""
    return f"{producer}-press"


def crates(producer: str, seed: int) -> list[Crate]:
    """All dumps of a producer's machine in the order in which they are sent; numbers 1 to COUNT."""
    rng = random.Random(f"{producer}/{seed}/dumps")
    parcels = [Parcel(_dump(machine_of(producer), number, rng)) for number in range(1, COUNT + 1)]
    at = rng.randrange(COUNT - 1)
    parcels[at : at + 2] = reversed(parcels[at : at + 2])
    parcels.append(rng.choice(parcels))
    return [Crate(f"{producer}-dumps", str(number), parcel) for number, parcel in enumerate(parcels)]


def digest_of(machines: Iterable[Sequence[Crate]]) -> str:
    """The digest of dumps once all are judged, each once and in order, by the model."""
    sums = Sums()
    for own in machines:
        device = own[0].parcel.plan.device
        sums.put(
            Key(DEFAULT_TENANT, "", device, DETECTOR), judged(DEFAULT_TENANT, device, _shown(own)).digest
        )
    return combined(sums)


def sums_of(own: Sequence[Crate]) -> list[str]:
    """What a machine's findings add up to when none of its dumps is judged, one, two, and so on."""
    shown, device = _shown(own), own[0].parcel.plan.device
    counts = range(len(shown) + 1)
    return [f"{judged(DEFAULT_TENANT, device, shown[:count]).digest:032x}" for count in counts]


def _shown(own: Sequence[Crate]) -> list[Shown]:
    by_number = {crate.parcel.number: crate.parcel for crate in own}
    return [
        Shown(number, ((COMPONENT, parcel.plan.lines),), parcel.from_ms, parcel.to_ms)
        for number, parcel in sorted(by_number.items())
    ]


def _dump(device: str, number: int, rng: random.Random) -> DumpPlan:
    lines = [f"info {rng.getrandbits(2000):x}" for _ in range(rng.randint(1, 20))]
    lines += [f"fault {rng.choice(('door', 'belt'))}" for _ in range(rng.randrange(3))]
    rng.shuffle(lines)
    return DumpPlan(
        at_s=0, device=device, sequence=number, lines=(f"info {number}", *lines), pieces=number % 3
    )
