"""Settles sealed segments in the background, so that neither appending nor memory waits for trimming."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tocsin import threads
from tocsin.errors import TocsinError


class Settler:
    """Calls `settle` after every `wake`; what fails is tried again at the next one, and by trimming."""

    def __init__(self, settle: Callable[[], object]) -> None:
        self._settle = settle
        self._due = threads.event()
        self._closed = threads.event()
        self._thread = threads.start("log-settler", self._run)

    def wake(self) -> None:
        """There is something to settle."""
        self._due.set()

    def closing(self) -> bool:
        """Whether what is under way is to leave off."""
        return self._closed.is_set()

    def close(self) -> None:
        """Wait until what is under way has left off; idempotent."""
        self._closed.set()
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self.closing():
                return
            with suppress(TocsinError):
                self._settle()
