"""All that is known of one window: what people were shown of it, what is kept, and what the log has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from proof.model.revisions import Revision
from proof.model.windows import Asked
from tocsin.control import MaintenanceSet
from tocsin.services.maintenance_window import MaintenanceWindow

_AHEAD_MS: Final = 6 * 86_400_000
_STEP_MS: Final = 7 * 60_000  # no day and no hour is a multiple of it
_Said = tuple[int | None, str, bool, bool, bool]


class Known:
    """`fits` says of a revision whether it is as everybody saw it."""

    def __init__(
        self, kept: MaintenanceWindow, shown: Sequence[dict[str, Any]], logged: Sequence[MaintenanceSet]
    ) -> None:
        self.logged: Final = logged
        self._shown: Final = {(each["version"], _said(each)) for each in shown}
        wanted = kept.wanted
        said = wanted.until_ms, wanted.why, wanted.no_alert, wanted.no_learn, kept.ended_ms is not None
        self._shown.add((kept.revision, said))
        self._holds: Final = cache(_holds_as_asked)

    def fits(self, found: Revision) -> bool:
        """Whether a revision was shown, kept and logged so, as far as it was."""
        asked = found.asked
        said = asked.until_ms, asked.why, asked.no_alert, asked.no_learn, found.ended
        if any(shown != said for number, shown in self._shown if number == found.number):
            return False
        return all(self._is_logged(each, found) for each in self.logged if each.revision == found.number)

    def _is_logged(self, record: MaintenanceSet, found: Revision) -> bool:
        """What a record says, but for a device that has left: of that see Standing."""
        if (record.no_alert, record.no_learn) != (found.asked.no_alert, found.asked.no_learn):
            return False
        if found.ended or not record.spans:
            return not record.spans
        return self._holds(record.spans, record.effective_ms, found.asked)


def will_hold(asked: Asked, from_ms: int) -> bool:
    """Whether a window is to hold at all in the next days."""
    return any(asked.holds(ts) for ts in range(from_ms, from_ms + _AHEAD_MS, _STEP_MS))


def _holds_as_asked(spans: tuple[tuple[int, int], ...], from_ms: int, asked: Asked) -> bool:
    """At each edge of the spans, and now and then between, from a stamp on."""
    edges = [ms for span in spans for first in span for ms in (first - 1, first)]
    for ts in (*range(from_ms, from_ms + _AHEAD_MS, _STEP_MS), *edges):
        holds = any(first <= ts < below for first, below in spans)
        if from_ms <= ts and holds != asked.holds(ts):
            return False
    return True


def _said(view: dict[str, Any]) -> _Said:
    until_ms = None if view["to_at"] is None else _ms(view["to_at"])
    return until_ms, view["why"], view["no_alert"], view["no_learn"], view["ended_at"] is not None


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
