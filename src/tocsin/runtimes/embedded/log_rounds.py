"""The gathering of log lines in all partitions, as a part of the runtime."""

from __future__ import annotations

from typing import Final

from tocsin.log.abstract import Log
from tocsin.runtimes.embedded.log_gathering import Gathering, LogWork


class LogGathering:
    """One thread calls `begin`, then `round` again and again; the others may be asked from any thread.

    Without work nothing is gathered, and no part of the log is needed for it.
    """

    def __init__(self, work: LogWork | None, log: Log) -> None:
        self._work: Final = work
        self._log: Final = log
        self._partitions: list[Gathering] = []

    def begin(self) -> bool:
        """Find out what was cut before the start; reads the log. Whether there is anything to do."""
        if self._work is None:
            return False
        self._partitions = [
            Gathering(partition, self._log, self._work) for partition in range(self._log.partitions)
        ]
        return True

    def round(self) -> None:
        """A step of every partition. Errors as Gathering.step has them."""
        for gathering in self._partitions:
            gathering.step()

    def needed(self, partition: int) -> int:
        """The offset from which on the log is needed."""
        if self._work is None:
            return self._log.end(partition)
        if not self._partitions:
            return self._log.begin(partition)
        return self._partitions[partition].needed

    def caught_up(self) -> bool:
        """Whether every line in the log is in a window, and every window that has ended is a dump."""
        return all(
            gathering.done and gathering.position == self._log.end(partition)
            for partition, gathering in enumerate(self._partitions)
        )

    def close(self) -> None:
        """Let go of what lies on the disk; idempotent."""
        for gathering in self._partitions:
            gathering.close()
