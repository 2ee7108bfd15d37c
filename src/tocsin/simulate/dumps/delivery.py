"""What the way to the server does to dumps: some come late, some twice, some never, some lines break."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.fleet import DumpFleet

_BEHIND: Final = (1, 5)
"""How many later dumps of its machine may be sent before one that is held back."""
_REPEATED: Final = (0, 10)
_CUTS: Final = (1, 3)
_ANSWER_LOST: Final = 0.2
"""The share of cuts that come after the last byte."""


class Disorder(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the dumps, 0 to 1: held back behind later ones, sent again, cut on the way, never sent."""

    reorder: float = 0.0
    repeat: float = 0.0
    cut: float = 0.0
    lose: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(f"{name} is a share: 0 to 1", field=name)

    @property
    def any(self) -> bool:
        """Whether anything is to go wrong."""
        return max(self.reorder, self.repeat, self.cut, self.lose) > 0


class Sending(msgspec.Struct, frozen=True):
    """A dump sent once, a line of `delivery.ndjson`. `cuts`: after which shares of it the line breaks."""

    device: str
    sequence: int
    cuts: tuple[float, ...] = ()


def plan_delivery(
    fleet: DumpFleet, dumps: Sequence[tuple[str, int]], disorder: Disorder
) -> tuple[list[Sending], list[tuple[str, int]]]:
    """In what order the dumps, (device, sequence), are sent, and which are lost; by the fleet's seed.

    What happens to a machine's dumps does not depend on other machines.
    """
    plan: list[Sending] = []
    lost: list[tuple[str, int]] = []
    for device, own in groupby(sorted(dumps), key=lambda dump: dump[0]):
        rng = fleet.rng(f"delivery {device}")
        kept = []
        for _, sequence in own:
            if rng.random() < disorder.lose:
                lost.append((device, sequence))
            else:
                kept.append(sequence)
        plan.extend(
            Sending(device, sequence, _cuts(disorder, rng)) for sequence in _order(kept, disorder, rng)
        )
    return plan, lost


def _order(sequences: Sequence[int], disorder: Disorder, rng: random.Random) -> list[int]:
    """The dumps of one machine as they are sent. Places are those of the dumps that are not held back."""
    places: list[tuple[float, int]] = []
    for place, sequence in enumerate(sequences):
        late = rng.randint(*_BEHIND) + 0.5 if rng.random() < disorder.reorder else 0.0
        places.append((place + late, sequence))
        if rng.random() < disorder.repeat:
            places.append((place + late + rng.randint(*_REPEATED) + 0.25, sequence))
    return [sequence for _, sequence in sorted(places)]


def _cuts(disorder: Disorder, rng: random.Random) -> tuple[float, ...]:
    if rng.random() >= disorder.cut:
        return ()
    return tuple(
        1.0 if rng.random() < _ANSWER_LOST else round(rng.random(), 4) for _ in range(rng.randint(*_CUTS))
    )
