"""What a simulated fleet of machines is: how many, where they stand, when they work and when they send."""

from __future__ import annotations

import bisect
import random
from itertools import accumulate
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.schedule import Schedule

# Weights are shares of the locations: most customers are in few zones, but some are always awake.
ZONES: Final = {
    "Europe/Berlin": 30,
    "Europe/London": 10,
    "Europe/Helsinki": 5,
    "America/New_York": 15,
    "America/Chicago": 10,
    "America/Los_Angeles": 8,
    "America/Sao_Paulo": 4,
    "Asia/Kolkata": 6,
    "Asia/Shanghai": 6,
    "Asia/Tokyo": 4,
    "Australia/Sydney": 2,
}
_ENDS: Final = list(accumulate(ZONES.values()))
_NAMES: Final = list(ZONES)


class DumpFleet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`devices` machines in up to `locations` places; `seed` alone decides every random number.

    `scale` multiplies how much they write: at 1, a dump of half an hour at full work has about 1,000 lines.
    """

    devices: int = 20
    locations: int = 1000
    seed: int = 1
    scale: float = 1.0
    schedule: Schedule = Schedule()
    device_prefix: str = "cell-"

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= 1 << 20:
            raise InvalidInputError("devices must be 1 to 1,048,576", field="devices")
        if not 1 <= self.locations <= 1 << 20:
            raise InvalidInputError("locations must be 1 to 1,048,576", field="locations")
        if not 0 < self.scale <= 10_000:
            raise InvalidInputError("scale must be above 0 and at most 10,000", field="scale")
        if self.seed < 0:
            raise InvalidInputError("seed must not be negative", field="seed")

    def device(self, number: int) -> str:
        """The name of a machine, padded so that names sort as numbers do.

        >>> DumpFleet(devices=20).device(7)
        'cell-07'
        """
        return f"{self.device_prefix}{number:0{len(str(self.devices - 1))}d}"

    def location(self, number: int) -> int:
        """Where a machine stands; neighbours share a location when there are fewer of these than machines."""
        return number * self.locations // self.devices

    def zone(self, location: int) -> str:
        """The time zone of a location."""
        drawn = self.rng("zone", location).randrange(_ENDS[-1])
        return _NAMES[bisect.bisect_right(_ENDS, drawn)]

    def rng(self, purpose: str, *numbers: int) -> random.Random:
        """Random numbers of one purpose, which no other purpose disturbs."""
        return random.Random(f"{self.seed} {purpose} {' '.join(map(str, numbers))}")

    def sent_ms(self, number: int, from_ms: int, to_ms: int) -> list[int]:
        """When a machine sends its dumps within [from, to), ascending."""
        rng = self.rng("sent", number)
        own_ms = rng.randrange(self.schedule.spread_s * 1000 + 1)
        slots = self.schedule.slots_ms(
            self.zone(self.location(number)), from_ms - self.schedule.day_every_s * 1000, to_ms
        )
        times = [slot + own_ms + rng.randrange(self.schedule.jitter_s * 1000 + 1) for slot in slots]
        return [time for time in times if from_ms < time < to_ms]
