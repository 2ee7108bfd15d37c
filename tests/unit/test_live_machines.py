"""Machines that have a past and go on: what the demo sends."""

from __future__ import annotations

import io
import zipfile
from itertools import islice, pairwise
from typing import Final

import pytest

from tests.unit.test_simulated_dumps import START_MS
from tocsin.cli.demo_machines import DETECTORS
from tocsin.dump_detectors.conformance import Sample, shown
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.source import BytesSource
from tocsin.log_detector.detector import Logs
from tocsin.simulate.dumps.faults import DumpFaultKind
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.live import LiveMachines
from tocsin.simulate.dumps.machine import MadeDump
from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS

NOW_MS: Final = START_MS + 10 * DAY_MS
FLEET: Final = DumpFleet(devices=2, locations=2, seed=3, scale=0.2)


def text(dump: MadeDump, member: str) -> str:
    """A member of the archive."""
    with zipfile.ZipFile(io.BytesIO(dump.archive)) as archive:
        return archive.read(member).decode()


def test_history_ends_now_and_the_present_follows_without_a_gap() -> None:
    """Numbers go up by one, and each dump begins where the one before ended."""
    machine = LiveMachines(FLEET, NOW_MS, days=1.0).machine(0)
    made = [*machine.until(NOW_MS), machine.next(NOW_MS + 25_000), machine.next(NOW_MS + 50_000)]
    assert [dump.sequence for dump in made] == list(range(1, len(made) + 1))
    assert made[0].from_ms == NOW_MS - DAY_MS
    assert all(one.to_ms == two.from_ms for one, two in pairwise(made))
    assert (made[-3].to_ms, made[-1].to_ms) == (NOW_MS, NOW_MS + 50_000)
    assert len(made) == pytest.approx(26, abs=4)


def test_who_goes_on_makes_the_next_dump() -> None:
    """A later start needs two numbers only: the last dump, and when its lines ended."""
    machines = LiveMachines(FLEET, NOW_MS, days=1.0)
    before = list(islice(machines.machine(1).until(NOW_MS), 5))
    following = next(machines.machine(1, 5, before[-1].to_ms).until(NOW_MS))
    assert (following.sequence, following.from_ms) == (6, before[-1].to_ms)


def test_the_same_now_gives_the_same_machines() -> None:
    """Faults and bytes; another moment gives others."""
    one, two, other = (
        list(LiveMachines(FLEET, now_ms, days=0.5).machine(0).until(NOW_MS))
        for now_ms in (NOW_MS, NOW_MS, NOW_MS + 1)
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("hour", range(0, 24, 6))
def test_the_first_faults_show_at_any_hour(hour: int) -> None:
    """The new line stands often enough in the dump that ends now, the drift in all since six hours ago."""
    now_ms = NOW_MS + hour * HOUR_MS
    machines = LiveMachines(FLEET, now_ms, days=0.5)
    new_line, drift, no_beat = machines.faults[:3]
    assert (new_line.kind, drift.kind) == (DumpFaultKind.NEW_TEMPLATE, DumpFaultKind.PARAMETER_DRIFT)
    assert (no_beat.kind, no_beat.device) == (DumpFaultKind.VANISHED_TEMPLATE, 1)
    assert drift.from_ms == now_ms - 6 * HOUR_MS
    dumps = [dump for dump in machines.machine(0).until(now_ms) if dump.to_ms > new_line.from_ms]
    lines = "".join(text(dump, "controller/controller.log") for dump in dumps)
    assert lines.count("lost its reference") == pytest.approx(240, abs=80)
    assert all(fault.from_ms > now_ms + 2 * HOUR_MS for fault in machines.faults[3:])
    assert len(machines.faults) > 10


def test_a_heartbeat_ceases_while_all_else_goes_on() -> None:
    """Only that of the machine it is planned for, from twelve hours before now on."""
    machines = LiveMachines(DumpFleet(devices=3, locations=3, seed=3, scale=0.2), NOW_MS, days=1.0)
    beats: dict[int, list[tuple[bool, int]]] = {}
    for number in (1, 2):
        for dump in machines.machine(number).until(NOW_MS):
            log = text(dump, "controller/controller.log")
            assert "\n" in log
            late = dump.from_ms > NOW_MS - 12 * HOUR_MS
            beats.setdefault(number, []).append((late, log.count("heartbeat")))
    assert sum(count for late, count in beats[1] if late) > 10
    assert sum(count for late, count in beats[2] if not late) > 10
    assert sum(count for late, count in beats[2] if late) == 0


@pytest.mark.long
def test_the_detector_of_logs_finds_the_first_faults_as_the_demo_sets_it() -> None:
    """A new error on the first machine, a number that drifts on the second, no heartbeat on the third."""
    machines = LiveMachines(DumpFleet(devices=4, locations=4, seed=7), NOW_MS)
    told = {number: codes(machines, number) for number in range(3)}
    assert ("controller", "new_template") in told[0]
    assert ("power", "number_shifted") in told[1]
    assert ("controller", "vanished_template") in told[2]


def codes(machines: LiveMachines, number: int) -> set[tuple[str, str]]:
    """What is found in the dumps that end within the last twelve hours."""
    dumps = list(machines.machine(number).until(NOW_MS))
    samples = [
        Sample(
            DumpFacts(
                sequence=dump.sequence,
                sha256="0" * 64,
                collected_from_ms=dump.from_ms,
                collected_to_ms=dump.to_ms,
            ),
            BytesSource(dump.archive),
        )
        for dump in dumps
    ]
    found = zip(dumps, shown(Logs, samples, DETECTORS["logs"]["config"]), strict=True)
    return {
        (each.component, each.code)
        for dump, findings in found
        for each in findings
        if dump.to_ms > NOW_MS - 12 * HOUR_MS
    }
