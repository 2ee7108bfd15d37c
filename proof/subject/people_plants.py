"""Protections of what people decide that can be taken away: that it is durable before they hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proof.subject.queueing import queueing

_LATE_S: Final = 0.2


def _feedback_answered_before_logged() -> None:
    """A person hears that feedback is in the log while it is only queued."""
    from tocsin.log.abstract import Log
    from tocsin.services.feedback import Feedbacks

    begin = Feedbacks.__init__

    def begin_hastily(self: Feedbacks, log: Log, *rest: Any) -> None:
        begin(self, queueing(log, late_s=_LATE_S), *rest)

    Feedbacks.__init__ = begin_hastily  # type: ignore[method-assign, assignment]


def _window_answered_before_logged() -> None:
    """A person hears that a window is in the log, and its file says so, while it is only queued."""
    from tocsin.log.abstract import Log
    from tocsin.services.maintenance import Maintenances

    begin = Maintenances.__init__

    def begin_hastily(self: Maintenances, log: Log, *rest: Any) -> None:
        begin(self, queueing(log, late_s=_LATE_S), *rest)

    Maintenances.__init__ = begin_hastily  # type: ignore[method-assign, assignment]


def _window_unsynced() -> None:
    """What people asked for is not synced in the file that keeps it."""
    from tocsin.services import maintenance_store
    from tocsin.storage.writer import Writer

    class Hasty(Writer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            assert self._connection is not None
            self._connection.pragma("synchronous", "NORMAL")

    vars(maintenance_store)["Writer"] = Hasty


PEOPLE_PLANTS: Final[dict[str, Callable[[], None]]] = {
    "feedback_answered_before_logged": _feedback_answered_before_logged,
    "window_answered_before_logged": _window_answered_before_logged,
    "window_unsynced": _window_unsynced,
}
