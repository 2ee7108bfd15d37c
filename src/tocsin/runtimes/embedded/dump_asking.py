"""What a device's turn asks of the scheduler while it goes on: steps of workers, and rest."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeVar

from tocsin.dump_detectors.steps import StepDone, StepFailed, Task

RETRIES: Final = 3
FIRST_REST_S: Final = 0.5
REST_GROWTH: Final = 4.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ask:
    """Have a step done. A `long` one may hold its worker for many seconds."""

    task: Task
    long: bool


@dataclass(frozen=True, slots=True)
class Rest:
    """Come back after so long; no worker is held meanwhile."""

    seconds: float


Asked = Ask | Rest
Answer = StepDone | StepFailed | None
"""Of an Ask, or None after a Rest."""
Going = Generator[Asked, Answer, Result]


def tried(task: Task, *, long: bool, chance: Callable[[], float]) -> Going[StepDone | StepFailed]:
    """Have a step done; what may go away is tried three times more, after growing rests.

    After a first failure the step counts as long, so that those which hang leave workers to the others.
    """
    rest_s = FIRST_REST_S
    for left in range(RETRIES, -1, -1):
        result = yield Ask(task, long)
        if result is None:
            raise RuntimeError("a step was answered with nothing")
        if isinstance(result, StepDone) or not result.may_go_away or left == 0:
            return result
        long = True
        yield Rest(rest_s * (1 + chance()))
        rest_s *= REST_GROWTH
    raise RuntimeError("unreachable")
