"""A few machines that have a past and go on in real time: what the demo shows beside its stations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tocsin.simulate.dumps.components.controller import CONTROLLER
from tocsin.simulate.dumps.components.power import POWER
from tocsin.simulate.dumps.faults import DumpFault, DumpFaultKind, plan_dump_faults
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine, MadeDump
from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS

_NEW_LINES_PER_HOUR: Final = 1200.0
_NEW_LINES_MS: Final = HOUR_MS // 5
_DRIFT_MS: Final = 6 * HOUR_MS
_DRIFT_DEVIATIONS: Final = 20.0
_NO_BEAT_MS: Final = 12 * HOUR_MS
_BEAT: Final = 1
"""Which of the controller's lines vanishes: its heartbeat."""
_LASTING_MS: Final = 2 * HOUR_MS
_QUIET_MS: Final = 4 * HOUR_MS
_PLANNED_MS: Final = 30 * DAY_MS
_PLANNED_PER_MACHINE: Final = 10.0
_LATER_KINDS: Final = (
    DumpFaultKind.NEW_TEMPLATE,
    DumpFaultKind.RATE_BURST,
    DumpFaultKind.PARAMETER_DRIFT,
    DumpFaultKind.LEVEL_SHIFT,
    DumpFaultKind.COMPONENT_SILENT,
)


class LiveMachine:
    """One machine's dumps, each with the lines since the one before.

    Goes on behind dump `sequence` (0: from its beginning), whose lines end at `reached_ms`.
    """

    def __init__(self, machine: Machine, sequence: int, reached_ms: int) -> None:
        self._machine: Final = machine
        self.sequence = sequence
        self.reached_ms = reached_ms

    def until(self, until_ms: int) -> Iterator[MadeDump]:
        """What its schedule sends before `until_ms`, then one with what came since."""
        for dump in self._machine.dumps(self.reached_ms, until_ms, self.sequence + 1):
            yield self._given(dump)
        if self.reached_ms < until_ms:
            yield self.next(until_ms)

    def next(self, until_ms: int) -> MadeDump:
        """One dump now, whatever the schedule says: `until_ms` must lie behind what was given before."""
        return self._given(self._machine.dump(self.reached_ms, until_ms, self.sequence + 1))

    def _given(self, dump: MadeDump) -> MadeDump:
        self.sequence, self.reached_ms = dump.sequence, dump.to_ms
        return dump


class LiveMachines:
    """History that ends at `now_ms` with three faults that go on, then the present.

    The first machine writes an error that it never wrote, from twelve minutes before now on; a voltage of the
    second one drifts away from six hours before; the third one's controller has had no heartbeat for twelve.
    None depends on how much the machines work, so that all show at any hour and on any day. They last for two
    hours, then quiet, then a month of planned faults follows. With fewer machines several are on the last.
    All depends on the fleet and `now_ms` alone.
    """

    def __init__(self, fleet: DumpFleet, now_ms: int, *, days: float = 4.0) -> None:
        self.fleet: Final = fleet
        self.now_ms: Final = now_ms
        self.start_ms: Final = now_ms - round(days * DAY_MS)
        later_ms = now_ms + _LASTING_MS + _QUIET_MS
        planned = plan_dump_faults(
            fleet, _LATER_KINDS, later_ms, later_ms + _PLANNED_MS, per_device=_PLANNED_PER_MACHINE
        )
        self.faults: Final = (*_first_faults(fleet, now_ms), *planned)

    def machine(self, number: int, sequence: int = 0, reached_ms: int = 0) -> LiveMachine:
        """A machine of the fleet that gave `sequence` dumps before, the last one at `reached_ms`."""
        machine = Machine(self.fleet, number, self.faults)
        return LiveMachine(machine, sequence, reached_ms if sequence else self.start_ms)


def _first_faults(fleet: DumpFleet, now_ms: int) -> tuple[DumpFault, ...]:
    new_line = DumpFault(
        kind=DumpFaultKind.NEW_TEMPLATE,
        device=0,
        component=CONTROLLER.component,
        from_ms=now_ms - _NEW_LINES_MS,
        to_ms=now_ms + _LASTING_MS,
        size=_NEW_LINES_PER_HOUR / fleet.scale,
    )
    drift = DumpFault(
        kind=DumpFaultKind.PARAMETER_DRIFT,
        device=min(1, fleet.devices - 1),
        component=POWER.component,
        from_ms=now_ms - _DRIFT_MS,
        to_ms=now_ms + _LASTING_MS,
        size=_DRIFT_DEVIATIONS,
    )
    no_beat = DumpFault(
        kind=DumpFaultKind.VANISHED_TEMPLATE,
        device=min(2, fleet.devices - 1),
        component=CONTROLLER.component,
        from_ms=now_ms - _NO_BEAT_MS,
        to_ms=now_ms + _LASTING_MS,
        choice=_BEAT,
    )
    return new_line, drift, no_beat
