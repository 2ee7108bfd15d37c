"""A directory over a simulated third party, in simulated time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tocsin.clock import ManualClock
from tocsin.directory.abstract import DirectoryApi
from tocsin.directory.asking import Asking
from tocsin.directory.cache import DirectoryCache
from tocsin.directory.embedded import CachedDirectory
from tocsin.directory.limits import DirectoryLimits
from tocsin.simulate.directory.faults import Trouble
from tocsin.simulate.directory.in_process import SimulatedDirectoryApi
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.service import SimulatedService

START_MS: Final = 1_795_341_600_000
SOFT_S: Final = 900.0
ONE_BY_ONE: Final = DirectoryLimits(at_once=1)
"""So that an answer's place in simulated time depends on the seed alone."""


class SimulatedWorld:
    """Devices, a third party that maps them, and what Tocsin makes of it; all of it by `seed`."""

    def __init__(
        self,
        folder: Path,
        *,
        devices: int = 40,
        technicians: int = 4,
        seed: int = 1,
        moves_per_day: float = 0.0,
        trouble: Trouble | None = None,
        limits: DirectoryLimits = ONE_BY_ONE,
        api: DirectoryApi | None = None,
    ) -> None:
        self.clock = ManualClock(START_MS)
        self.names = [f"pump-{number:03}" for number in range(devices)]
        self.mapping = SimulatedMapping(
            self.names, technicians, seed=seed, start_ms=START_MS, moves_per_day=moves_per_day
        )
        self.service = SimulatedService(self.mapping, self.clock, seed=seed, trouble=trouble)
        self.api = api or SimulatedDirectoryApi(self.service, self.clock)
        self.outcomes: dict[str, int] = {}
        cache = DirectoryCache(folder / "directory.db", rows_max=limits.rows_max)
        asking = Asking(
            self.api,
            cache,
            self.clock,
            limits,
            known=lambda: self.names,
            rng=random.Random(f"{seed} asking"),
            telling=self,
        )
        self.directory = CachedDirectory(cache, asking, self.clock, limits)

    def request(self, endpoint: str, outcome: str, took_s: float) -> None:
        """Counts what became of each request."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    @property
    def requests(self) -> int:
        """How many the third party got."""
        return sum(self.service.asked.values())

    def run(self, seconds: float, step_s: float = 5.0) -> None:
        """Let time pass, with a round at each step."""
        for _ in self.steps(seconds, step_s):
            pass

    def steps(self, seconds: float, step_s: float = 5.0) -> Iterator[None]:
        """The same, and a look after each round."""
        end_ms = self.clock.now_ms() + round(seconds * 1000)
        while self.clock.now_ms() < end_ms:
            self.directory.round()
            yield
            self.clock.sleep(step_s)

    def wrong(self) -> list[str]:
        """Devices of which the directory says something else than the third party knows."""
        self.mapping.advance(self.clock.now_ms())
        return [
            name
            for name in self.names
            if self.directory.ownership(name).technician != self.mapping.owner(name)
        ]


@contextmanager
def simulated(folder: Path, **options: object) -> Iterator[SimulatedWorld]:
    """A world that is closed behind the block."""
    world = SimulatedWorld(folder, **options)  # type: ignore[arg-type]
    try:
        yield world
    finally:
        world.directory.close()
