"""A log that answers before it has written anything."""

from __future__ import annotations

import threading
from typing import Any, Final, cast

from tocsin.log.abstract import Append, Log


def queueing(log: Log, *, late_s: float = 0.0) -> Log:
    """The same log, but whoever appends does not wait for the disk; it gets the records `late_s` later."""
    return cast("Log", _Queueing(log, late_s))


class _Queueing:
    def __init__(self, log: Log, late_s: float) -> None:
        self._log: Final = log
        self._late_s: Final = late_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def submit(self, append: Append) -> _Queued:
        if self._late_s:
            later = threading.Timer(self._late_s, self._log.submit, (append,))
            later.daemon = True
            later.start()
        else:
            self._log.submit(append)
        return _Queued()


class _Queued:
    """The answer of a log that did not wait: as if it had written a thing for the first time."""

    repeated = False

    def result(self) -> _Queued:
        return self
