"""A device's dumps shown again from the first, to a detector that knows nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tocsin.control import DumpReceived
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.steps import StepFailed, Task
from tocsin.runtimes.embedded.dump_asking import Going, tried

MakeTask = Callable[[DumpReceived, bytes | None, str], Task]


@dataclass(slots=True)
class Rerun:
    """What came of it: findings by dump, state and note after the last; or the dump at which it failed."""

    found: list[tuple[DumpReceived, tuple[Finding, ...]]] = field(default_factory=list)
    state: bytes | None = None
    version: str = ""
    note: str = ""
    failed: tuple[DumpReceived, StepFailed] | None = None


def run_again(
    dumps: Iterable[DumpReceived], make: MakeTask, chance: Callable[[], float], *, keep: bool
) -> Going[Rerun]:
    """Show the dumps one after another; `keep` their findings, or only the state. A long step each."""
    rerun = Rerun()
    for dump in dumps:
        task = make(dump, rerun.state, rerun.version)
        result = yield from tried(task, long=True, chance=chance)
        if isinstance(result, StepFailed):
            rerun.failed = dump, result
            return rerun
        rerun.state, rerun.version, rerun.note = result.state, result.state_version, result.note
        if keep:
            rerun.found.append((dump, result.findings))
    return rerun
