"""The workers that run dump steps: as many as there is work for, between a least and a greatest number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tocsin.clock import Clock
from tocsin.dump_detectors.steps import Stepper
from tocsin.sharding import partition_of, shard_of


@dataclass(slots=True)
class Place:
    """One worker, which does one step at a time."""

    number: int
    stepper: Stepper
    idle_since_s: float
    long: bool = False


class Crew:
    """Lends workers out. A device gets the one where it was before, if that is free. For one thread.

    `long` steps hold at most half of the greatest number (one, where that is one). A worker that was idle
    for `idle_s` ends, down to `workers_min`.
    """

    def __init__(
        self,
        make: Callable[[], Stepper],
        clock: Clock,
        *,
        workers_min: int = 0,
        workers_max: int = 2,
        idle_s: float = 60.0,
    ) -> None:
        self._make: Final = make
        self._clock: Final = clock
        self._least: Final = min(workers_min, workers_max)
        self._greatest: Final = workers_max
        self._idle_s: Final = idle_s
        self._free: dict[int, Place] = {}
        self._lent: dict[int, Place] = {}

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._free) + len(self._lent)

    @property
    def steps(self) -> int:
        """How many are at work."""
        return len(self._lent)

    @property
    def room(self) -> int:
        """How many more steps can begin."""
        return self._greatest - len(self._lent)

    @property
    def room_for_long(self) -> bool:
        """Whether a long step can begin."""
        return self.room > 0 and self._long < max(1, self._greatest // 2)

    def lend(self, tenant: str, device: str, *, long: bool) -> Place | None:
        """A worker for a step of the device; None if all, or all that long steps may have, are at work."""
        if self.room == 0 or (long and not self.room_for_long):
            return None
        place = self._taken(partition_of(shard_of(tenant, device), self._greatest))
        place.long = long
        self._lent[place.number] = place
        return place

    def give_back(self, place: Place) -> None:
        """Its step is over."""
        del self._lent[place.number]
        place.long, place.idle_since_s = False, self._clock.monotonic_s()
        self._free[place.number] = place

    def keep_to_load(self) -> None:
        """Start the least number, and end workers that have been idle for long."""
        while self.workers < self._least:
            number = next(n for n in range(self._greatest) if n not in self._free and n not in self._lent)
            self._free[number] = self._started(number)
        idle_s = self._clock.monotonic_s() - self._idle_s
        for place in [place for place in self._free.values() if place.idle_since_s <= idle_s]:
            if self.workers > self._least:
                del self._free[place.number]
                place.stepper.close()

    def close(self) -> None:
        """End all of them, also those at work; idempotent."""
        for place in [*self._lent.values(), *self._free.values()]:
            place.stepper.close()
        self._free.clear()
        self._lent.clear()

    @property
    def _long(self) -> int:
        return sum(place.long for place in self._lent.values())

    def _taken(self, wanted: int) -> Place:
        """The wanted worker if it is free, else another one that is, else a new one."""
        if wanted in self._free:
            return self._free.pop(wanted)
        if self._free:
            return self._free.pop(next(iter(self._free)))
        unused = [n for n in range(self._greatest) if n not in self._lent]
        return self._started(wanted if wanted in unused else unused[0])

    def _started(self, number: int) -> Place:
        return Place(number, self._make(), self._clock.monotonic_s())
