"""A device's dumps shown again: from the first, to a detector that knows nothing, or from a snapshot on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tocsin.commit.dump_steps import DumpPlace, StepSnapshot
from tocsin.control import DumpReceived
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.steps import StepFailed, Task
from tocsin.runtimes.embedded.dump_asking import Going, tried
from tocsin.runtimes.embedded.dump_ground import place_of
from tocsin.runtimes.embedded.dump_snapshots import Snapshots

MakeTask = Callable[[DumpReceived, bytes | None, str], Task]


@dataclass(slots=True)
class Rerun:
    """What came of it: findings by dump, state and note after the last; or the dump at which it failed.

    `states` are those after dumps of which a snapshot is worth keeping.
    """

    found: list[tuple[DumpReceived, tuple[Finding, ...]]] = field(default_factory=list)
    state: bytes | None = None
    version: str = ""
    note: str = ""
    states: dict[DumpPlace, bytes] = field(default_factory=dict)
    failed: tuple[DumpReceived, StepFailed] | None = None


def run_again(
    dumps: Iterable[DumpReceived],
    make: MakeTask,
    chance: Callable[[], float],
    begin: StepSnapshot | None = None,
    snapshots: Snapshots | None = None,
) -> Going[Rerun]:
    """Show the dumps one after another, a long step each, to a detector that knows what `begin` says.

    Without `snapshots` neither findings nor states on the way are kept.
    """
    rerun = Rerun() if begin is None else Rerun(state=begin.state, version=begin.version)
    before = None if begin is None else begin.place
    for dump in dumps:
        task = make(dump, rerun.state, rerun.version)
        result = yield from tried(task, long=True, chance=chance)
        if isinstance(result, StepFailed):
            rerun.failed = dump, result
            return rerun
        rerun.state, rerun.version, rerun.note = result.state, result.state_version, result.note
        if snapshots is not None:
            rerun.found.append((dump, result.findings))
            if snapshots.due(before, place_of(dump)):
                rerun.states[place_of(dump)] = result.state
                snapshots.thin(rerun.states)
        before = place_of(dump)
    return rerun
