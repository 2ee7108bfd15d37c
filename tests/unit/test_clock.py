"""The clock that stamps arrivals: it counts sleep, and never jumps with the machine's."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from tocsin.clock import SystemClock, steady_ns
from tocsin.services.clock_watch import ClockWatch

START_MS = 1_700_000_000_000
DAY_MS = 86_400_000


@dataclass
class Machine:
    """Its two clocks, in milliseconds; a suspended machine moves both, whoever sets the time only one."""

    wall_ms: int = START_MS
    steady_ms: int = 5_000

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall_ms * 1_000_000, lambda: self.steady_ms * 1_000_000)

    def sleep(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady_ms += ms


def test_arrivals_are_right_after_a_suspend() -> None:
    """Whoever sends when the lid is opened again has no wrong clock."""
    machine = Machine()
    clock = machine.clock()
    machine.sleep(DAY_MS)
    assert (clock.now_ms(), clock.drift_ms()) == (START_MS + DAY_MS, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no clock that counts sleep")
def test_the_steady_clock_counts_sleep() -> None:
    """It is the one that the kernel moves on while the machine is suspended."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before <= steady_ns() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS])
def test_a_jump_changes_no_stamp_and_is_told_once(jump_ms: int) -> None:
    """Stamps go on as before; the log has one line a jump, and health says it as long as it lasts."""
    machine = Machine()
    clock = machine.clock()
    watch = ClockWatch(clock.drift_ms)
    with capture_logs() as told:
        watch.look()
        assert watch.tell() == "steady"
        machine.wall_ms += jump_ms
        assert clock.now_ms() == START_MS
        watch.look()
        watch.look()
        assert ("ahead of" if jump_ms > 0 else "behind") in watch.tell()
        machine.sleep(60_000)
        watch.look()
    assert [(line["event"], line["seconds"]) for line in told] == [("clock_jumped", jump_ms / 1000)]
