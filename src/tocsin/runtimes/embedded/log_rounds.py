"""The gathering of log lines in all partitions, as a part of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tocsin.errors import BackpressureError, StorageFullError, StorageUnavailableError
from tocsin.log.abstract import Log
from tocsin.observability.logging import get_logger
from tocsin.runtimes.embedded.log_gathering import Gathering
from tocsin.runtimes.embedded.log_work import LogWork, Places
from tocsin.threads import Event

_log = get_logger("runtime")


class LogGathering:
    """Once it has begun, one thread runs it; the others may be asked from any thread.

    Without work nothing is gathered, and no part of the log is needed for it.
    """

    def __init__(self, work: LogWork | None, log: Log, places: Places) -> None:
        self._work: Final = work
        self._log: Final = log
        self._places: Final = places
        self._partitions: list[Gathering] = []

    def begin(self) -> bool:
        """Keep the log from being trimmed before it is gathered. Whether there is anything to do."""
        if self._work is None:
            return False
        self._partitions = [
            Gathering(partition, self._log, self._work, self._places)
            for partition in range(self._log.partitions)
        ]
        return True

    def run(self, stopping: Event, round_: Callable[[], None], idle_s: float) -> None:
        """Cut log lines into dumps as they come, by rounds: `round_` is `round`, traced.

        What a full disk puts off waits in the log. Rests when there is nothing to do, and after each round
        that got nowhere, whatever kept it.
        """
        try:
            while not stopping.is_set():
                before = self._positions()
                try:
                    if not self.caught_up():
                        round_()
                except (StorageFullError, StorageUnavailableError, BackpressureError) as error:
                    _log.warning("log_windows_wait", error=error.detail)
                if self._positions() == before:
                    stopping.wait(idle_s)
        finally:
            for gathering in self._partitions:
                gathering.close()

    def round(self) -> None:
        """A step of every partition. Errors as Gathering.step has them."""
        for gathering in self._partitions:
            gathering.step()

    def spared(self, safe: Mapping[int, int]) -> dict[int, int]:
        """The same offsets by partition, but none behind a line that waits for its window to end."""
        if self._work is None:
            return dict(safe)
        waiting = {number: gathering.needed for number, gathering in enumerate(self._partitions)}
        return {partition: min(offset, waiting.get(partition, 0)) for partition, offset in safe.items()}

    def caught_up(self) -> bool:
        """Whether every line in the log is in a window, and every window that has ended is a dump."""
        return all(
            gathering.done and gathering.position == self._log.end(partition)
            for partition, gathering in enumerate(self._partitions)
        )

    def _positions(self) -> list[int]:
        return [gathering.position for gathering in self._partitions]
