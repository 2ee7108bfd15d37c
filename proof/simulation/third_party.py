"""The third party that knows who is responsible for which device: it answers badly, and changes its mind."""

from __future__ import annotations

import random
from functools import partial
from typing import Any, Final

from proof.simulation.plan import START_MS, TENANT, DirectoryPlan, MovePlan, Plan
from proof.simulation.scheduler import Scheduler
from tocsin.clock import Clock
from tocsin.config.directories import DirectoryConfig
from tocsin.directory.asking import Asking
from tocsin.simulate.directory.faults import DirectoryFault, Trouble
from tocsin.simulate.directory.in_process import SimulatedDirectoryApi
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.service import SimulatedService

SOFT_S: Final = 120.0
_RUN: Final = 0xD1_4FC
_SHARE: Final = 0.25
_FAULTS: Final = (
    *(DirectoryFault.SLOW, DirectoryFault.TRICKLE, DirectoryFault.TIMEOUT, DirectoryFault.CUT),
    *(DirectoryFault.ERROR, DirectoryFault.BUSY, DirectoryFault.BROKEN, DirectoryFault.TRUNCATED),
    *(DirectoryFault.PAGE, DirectoryFault.NO_GUID, DirectoryFault.REPEATED),
)
"""All that can be told from a true answer, but for bodies of megabytes."""


def directory_of(seed: int, span_s: float, devices: tuple[str, ...]) -> DirectoryPlan | None:
    """Drawn apart from the rest of a plan, which stays what it was; most seeds have none."""
    rng = random.Random(seed ^ _RUN)
    if rng.random() >= _SHARE:
        return None
    moves = [
        MovePlan(at_s=rng.uniform(0, span_s), device=rng.choice(devices), technician=rng.randrange(3))
        for _ in range(rng.randint(1, 6))
    ]
    begin_s = rng.uniform(0, span_s)
    return DirectoryPlan(
        technicians=3,
        moves=tuple(sorted(moves, key=lambda move: move.at_s)),
        share=rng.choice((0.0, 0.3, 0.7)),
        down=((begin_s, begin_s + rng.uniform(60, 900)),),
    )


def place_of(number: int) -> str:
    """The name of a location."""
    return f"hall {number}"


def directories_of(plan: Plan) -> dict[str, DirectoryConfig]:
    """As the configuration has them."""
    if plan.directory is None:
        return {}
    said = {
        "url": "http://directory.invalid",
        "soft_s": SOFT_S,
        "again_s": SOFT_S,
        "requests_per_day_min": 1e9,
    }
    return {TENANT: DirectoryConfig.model_validate(said)}


class _Time:
    """That of the third party, whose clock nobody sets."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now_ms(self) -> int:
        return START_MS + round(self._scheduler.now_s * 1000)

    def monotonic_s(self) -> float:
        return self._scheduler.now_s

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)


class Places(SimulatedMapping):
    """Devices also come to other locations; `stood` has where each has ever stood, now the last."""

    def __init__(self, plan: Plan, said: DirectoryPlan) -> None:
        devices = (*plan.devices, *said.newcomers)
        super().__init__(devices, said.technicians, seed=plan.seed)
        self.stood: Final = {
            device: [place_of(number % said.places)] for number, device in enumerate(devices)
        }

    def location(self, device: str) -> str:
        return self.stood[device][-1]

    def come(self, device: str, place: int) -> None:
        """Let a device stand at this place from now on."""
        self.stood[device].append(place_of(place))


class ThirdParty:
    """Outlives the processes of the system."""

    def __init__(self, plan: Plan, said: DirectoryPlan, scheduler: Scheduler) -> None:
        self._said: Final = said
        self._scheduler: Final = scheduler
        self.mapping: Final = Places(plan, said)
        down = tuple(
            (START_MS + round(begin_s * 1000), START_MS + round(end_s * 1000)) for begin_s, end_s in said.down
        )
        trouble = Trouble(faults=_FAULTS, share=said.share, down=down)
        self._service: Final = SimulatedService(
            self.mapping, _Time(scheduler), seed=plan.seed, trouble=trouble
        )
        self.asking: Final = partial(Asking, rng=random.Random(f"{plan.seed} asking"))

    def api(self, _url: str, clock: Clock, *, timeout_s: float, **_: Any) -> SimulatedDirectoryApi:
        """What a process has instead of the client over HTTP."""
        return SimulatedDirectoryApi(self._service, clock, timeout_s=timeout_s)

    def move(self) -> None:
        """Let devices go to other technicians and places when it is time; a thread of its own."""
        for move in self._said.moves:
            self._scheduler.sleep(max(0.0, move.at_s - self._scheduler.now_s))
            self._scheduler.trace.fault("device-moved")
            if move.technician is not None:
                self.mapping.move(move.device, self.mapping.technicians[move.technician], 0)
            if move.place is not None:
                self.mapping.come(move.device, move.place)

    def calm(self) -> None:
        """From now on all answers are good."""
        self._service.trouble = Trouble()
