"""Workers for dump detectors: steps in simulated threads, that crash, hang, dawdle or fail by the seed."""

from __future__ import annotations

import random
import zipfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from proof.simulation.plan import Steps
from proof.simulation.scheduler import Scheduler
from proof.simulation.tally import VERSIONS
from tocsin import threads
from tocsin.dump_detectors.host import DetectorHost
from tocsin.dump_detectors.installed import Answer
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Stepper, Task
from tocsin.threads import Future

POISON: Final = "poison "
_LONG_S: Final = 20.0

Number = tuple[str, int, int]
"""Device, epoch, sequence."""


class Workshop:
    """Outlives the processes. `failed` counts the failures of each dump by kind.

    While it is not `calm`, steps fail by chance, and each dump that says `poison KIND` fails always.
    """

    def __init__(self, scheduler: Scheduler, rng: random.Random, chances: Steps) -> None:
        self.failed: Final[dict[Number, Counter[str]]] = {}
        self.calm = False
        self.scheduler: Final = scheduler
        self._rng: Final = rng
        self._chances: Final = chances

    def host(self, version: str) -> DetectorHost:
        """Where this version of the detector is installed."""

        def worker(limits: StepLimits) -> Stepper:
            return SimulatedWorker(self, limits, version)

        def ask_version(_: str, __: Mapping[str, Any]) -> Answer:
            return lambda: version

        return DetectorHost(worker, ask_version)

    def fate(self, task: Task) -> FailureKind | None:
        """What becomes of a step, None where it is done; remembered."""
        kind = None if self.calm else self._poison(task.archive) or self._accident()
        if kind is not None:
            self.scheduler.trace.fault(f"step-{kind.value}")
            number = (task.device, task.dump.epoch, task.dump.sequence)
            self.failed.setdefault(number, Counter())[kind.value] += 1
        return kind

    def takes_s(self) -> float:
        """How long a step takes."""
        if not self.calm and self._rng.random() < self._chances.slow:
            self.scheduler.trace.fault("step-slow")
            return self._rng.uniform(1, _LONG_S)
        return self._rng.choice((0.001, 0.02, 0.2))

    def _accident(self) -> FailureKind | None:
        drawn = self._rng.random()
        for kind, chance in (
            (FailureKind.CRASH, self._chances.crash),
            (FailureKind.HANG, self._chances.hang),
        ):
            if drawn < chance:
                return kind
            drawn -= chance
        return None

    def _poison(self, archive: Path) -> FailureKind | None:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                for line in opened.read(name).decode().splitlines():
                    if line.startswith(POISON):
                        return FailureKind(line.removeprefix(POISON))
        return None


class SimulatedWorker(Stepper):
    """Does one step at a time; what it holds goes with a crash."""

    def __init__(self, workshop: Workshop, limits: StepLimits, version: str) -> None:
        self._workshop = workshop
        self._limits = limits
        self._version = version
        self._instances = self._begun()

    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        future: Future[StepDone | StepFailed] = threads.future()
        threads.start("dump-worker", partial(self._work, task, future))
        return future

    def close(self) -> None:
        """What still runs belongs to nobody."""

    def _work(self, task: Task, future: Future[StepDone | StepFailed]) -> None:
        kind = self._workshop.fate(task)
        self._workshop.scheduler.sleep(
            self._limits.wall_s if kind is FailureKind.HANG else self._workshop.takes_s()
        )
        if kind is None:
            future.set_result(step(task, self._instances, self._limits))
        else:
            self._instances = self._begun()
            future.set_result(StepFailed(kind=kind, detail="simulated"))

    def _begun(self) -> Instances:
        return Instances(self._limits, lambda _: VERSIONS[self._version])
