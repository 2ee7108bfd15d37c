"""A detector shown the dumps of a folder as a server shows it those of devices: in workers, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.client import DumpFile
from tocsin.dump_detectors.folder import facts_of
from tocsin.dump_detectors.state_file import DeviceState, KeptStates
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Stepper, Task
from tocsin.errors import InvalidInputError
from tocsin.threads import Future

TENANT: Final = "local"


@dataclass(frozen=True, slots=True)
class Shown:
    """A dump and what came of it."""

    dump: DumpFile
    result: StepDone | StepFailed


class FolderRun:
    """Shows dumps and keeps what the detector knows in `kept`. At most `ahead` steps are given at a time."""

    def __init__(
        self, stepper: Stepper, detector: str, config: Mapping[str, Any], kept: KeptStates, ahead: int
    ) -> None:
        self._stepper = stepper
        self._detector = detector
        self._config = config
        self._kept = kept
        self._ahead = ahead

    def round(self, dumps: Sequence[DumpFile]) -> Iterator[Shown]:
        """Show one dump of each of several devices, side by side; results come in the order of `dumps`.

        A dump whose step fails is passed over: the device goes on from what was known before it. A
        refusal concerns all dumps to come, so it is an InvalidInputError.
        """
        waiting: deque[tuple[DumpFile, Task, Future[StepDone | StepFailed]]] = deque()
        for dump in dumps:
            if len(waiting) >= self._ahead:
                yield self._taken(*waiting.popleft())
            task = self._task(dump)
            waiting.append((dump, task, self._stepper.run(task)))
        while waiting:
            yield self._taken(*waiting.popleft())

    def is_done(self, dump: DumpFile) -> bool:
        """Whether an earlier run has dealt with it."""
        device = self._kept.devices.get(dump.device, DeviceState())
        return (dump.epoch, dump.sequence) <= (device.epoch, device.sequence)

    def _task(self, dump: DumpFile) -> Task:
        device = self._kept.devices.setdefault(dump.device, DeviceState())
        return Task(
            tenant=TENANT,
            device=dump.device,
            detector=self._detector,
            archive=dump.path,
            dump=facts_of(dump),
            config=self._config,
            state=device.state,
            state_version=device.state_version,
        )

    def _taken(self, dump: DumpFile, task: Task, future: Future[StepDone | StepFailed]) -> Shown:
        result = future.result()
        if isinstance(result, StepFailed) and result.may_go_away:
            result = self._stepper.run(task).result()
        if isinstance(result, StepFailed) and result.kind is FailureKind.REFUSED:
            if task.state is None:  # it would be refused at any other dump, too
                raise InvalidInputError(result.detail, field="detector")
            again = "--replay shows it all dumps from the first on"
            raise InvalidInputError(f"{dump.path}: {result.detail}; {again}", field="detector")
        device = self._kept.devices[dump.device]
        device.epoch, device.sequence = dump.epoch, dump.sequence
        if isinstance(result, StepDone):
            device.state, device.state_version = result.state, result.state_version
        return Shown(dump, result)
