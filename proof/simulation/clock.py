"""The machine's clock, which jumps, and what a process makes of it."""

from __future__ import annotations

from typing import Final

from proof.simulation.scheduler import Scheduler


class Machine:
    """Wall time of the machine: the scheduler's, moved by whoever sets the clock.

    `on_s` is the scheduler's second in which it was turned on. Where that begins far below 0 it is as far
    again below: monotonic counts are then never finer than the scheduler's, or a wait could not be over.
    """

    def __init__(self, scheduler: Scheduler, start_ms: int) -> None:
        self.scheduler: Final = scheduler
        self.on_s: Final = 2 * scheduler.now_s
        self._offset_ms = start_ms

    def now_ms(self) -> int:
        """What a process that starts now would read."""
        return self._offset_ms + round(self.scheduler.now_s * 1000)

    def jump(self, by_ms: int) -> None:
        """Somebody sets the clock."""
        self._offset_ms += by_ms


class ProcessClock:
    """As SystemClock: wall time taken at the start of the process, monotonic from there."""

    def __init__(self, machine: Machine) -> None:
        self._scheduler = machine.scheduler
        self._on_s = machine.on_s
        self._start_ms = machine.now_ms()
        self._start_s = machine.scheduler.now_s

    def now_ms(self) -> int:
        return self._start_ms + round((self._scheduler.now_s - self._start_s) * 1000)

    def monotonic_s(self) -> float:
        return self._scheduler.now_s - self._on_s

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)
