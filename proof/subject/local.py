"""Workers for dump detectors in threads of the server: proofs end many, and starting them costs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from proof.simulation.tally import Tally
from tocsin import threads
from tocsin.dump_detectors.host import DetectorHost
from tocsin.dump_detectors.installed import Answer
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import StepDone, StepFailed, Stepper, Task
from tocsin.threads import Future


class LocalWorker(Stepper):
    """One step at a time, each in a thread."""

    def __init__(self, limits: StepLimits) -> None:
        self._limits: Final = limits
        self._instances: Final = Instances(limits, lambda _: Tally)

    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        future: Future[StepDone | StepFailed] = threads.future()
        threads.start("dump-worker", partial(self._work, task, future))
        return future

    def close(self) -> None:
        """What still runs belongs to nobody."""

    def _work(self, task: Task, future: Future[StepDone | StepFailed]) -> None:
        future.set_result(step(task, self._instances, self._limits))


def _ask_version(_: str, __: Mapping[str, Any]) -> Answer:
    return lambda: Tally.version


LOCAL: Final = DetectorHost(LocalWorker, _ask_version)
