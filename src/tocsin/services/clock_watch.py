"""Says loudly when the machine's clock has jumped: arrivals go on being stamped by the steady one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tocsin.observability.logging import get_logger

JUMP_MS_MIN: Final = 1_000
_log = get_logger("clock")
_REMEDY: Final = "repair time synchronisation, then restart"


class ClockWatch:
    """`drift_ms` is how far the machine's clock has moved away from the one that stamps arrivals."""

    def __init__(self, drift_ms: Callable[[], int]) -> None:
        self._drift_ms = drift_ms
        self._told_ms = 0

    def look(self) -> None:
        """One line in the log for each jump of a second or more; meant to be called every minute."""
        drift_ms = self._drift_ms()
        if abs(drift_ms - self._told_ms) >= JUMP_MS_MIN:
            self._told_ms = drift_ms
            _log.error("clock_jumped", seconds=drift_ms / 1000, remedy=_REMEDY)

    def tell(self) -> str:
        """How the clock stands, in words. A jump refuses nothing: what is stored and said stays right."""
        self.look()
        drift_ms = self._drift_ms()
        if abs(drift_ms) < JUMP_MS_MIN:
            return "steady"
        side = "ahead of" if drift_ms > 0 else "behind"
        return (
            f"jumped: the machine's clock is {abs(drift_ms) / 1000:.0f} s {side} the one that stamps "
            f"arrivals: {_REMEDY}"
        )
