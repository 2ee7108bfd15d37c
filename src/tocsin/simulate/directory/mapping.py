"""Who is responsible for which device, by seed, and how that changes in time."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from typing import Final

from tocsin.errors import InvalidInputError

DAY_MS: Final = 86_400_000


class SimulatedMapping:
    """A device has one technician and one location; a technician has her devices in a row, as they stand.

    `moves_per_day` devices get another technician each day, at moments drawn by lot. Everything depends on
    the arguments alone: the same seed and time give the same mapping. Time only goes on. Not thread-safe.
    """

    def __init__(
        self,
        devices: Sequence[str],
        technicians: int,
        *,
        seed: int = 1,
        start_ms: int = 0,
        moves_per_day: float = 0.0,
        devices_a_location: int = 100,
    ) -> None:
        if devices_a_location < 1:
            raise InvalidInputError("must be at least 1", field="devices_a_location")
        if technicians < 1:
            raise InvalidInputError("must be at least 1", field="technicians")
        guids = random.Random(f"{seed} guids")
        self.technicians: Final = tuple(
            str(uuid.UUID(int=guids.getrandbits(128), version=4)) for _ in range(technicians)
        )
        self._rng = random.Random(f"{seed} moves")
        self._devices = tuple(devices)
        self._owner = {
            device: self.technicians[number * technicians // len(devices)]
            for number, device in enumerate(devices)
        }
        self._of: dict[str, dict[str, None]] = {technician: {} for technician in self.technicians}
        for device, technician in self._owner.items():
            self._of[technician][device] = None
        self._place = {
            device: f"site-{number // devices_a_location + 1:03}" for number, device in enumerate(devices)
        }
        self._pause_ms = DAY_MS / moves_per_day if moves_per_day > 0 and devices else None
        self._next_ms = start_ms + (0.0 if self._pause_ms is None else self._draw_ms(self._pause_ms))
        self.moves: list[tuple[int, str, str]] = []

    def advance(self, now_ms: int) -> None:
        """Let all moves happen that are due; `moves` has each as (time, device, new technician)."""
        while self._pause_ms is not None and self._next_ms <= now_ms:
            device, technician = self._rng.choice(self._devices), self._rng.choice(self.technicians)
            self.move(device, technician, round(self._next_ms))
            self._next_ms += self._draw_ms(self._pause_ms)

    def move(self, device: str, technician: str, at_ms: int) -> None:
        """Give a device to a technician."""
        del self._of[self._owner[device]][device]
        self._owner[device] = technician
        self._of[technician][device] = None
        self.moves.append((at_ms, device, technician))

    def some(self, rng: random.Random) -> tuple[str, str]:
        """A device and a technician by lot."""
        return rng.choice(self._devices), rng.choice(self.technicians)

    def owner(self, device: str) -> str | None:
        """The technician of a device; None if there is no such device."""
        return self._owner.get(device)

    def location(self, device: str) -> str:
        """Where a device stands."""
        return self._place[device]

    def devices_of(self, technician: str) -> Sequence[str] | None:
        """The technician's devices; None if there is no such technician."""
        found = self._of.get(technician)
        return None if found is None else tuple(found)

    def _draw_ms(self, mean_ms: float) -> float:
        return max(1.0, self._rng.expovariate(1.0 / mean_ms))
