"""What people said of series, as one detector's state holds it: few rows, in the order of series and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.control import STEPS_MAX, FeedbackGiven, FeedbackKind
from tocsin.detectors.abstract import Readings, Rows
from tocsin.events import I32, I64
from tocsin.model import LimitMoved
from tocsin.processing.rows import FEEDBACK

KEPT_MAX: Final = 32
"""Of a series and detector; of what is older, corrections know only how high the limits were at its end."""

_MET: Final = np.dtype(
    [("reading", "i8"), ("series", "i4"), ("before", "i4"), ("after", "i4")], align=True
)  # `before` and `after` are rows of the settings


@dataclass(frozen=True, slots=True)
class Met:
    """Readings with the settings that feedback gives them, and where limits move, in their order."""

    readings: Readings
    rows: npt.NDArray[Any]


class FeedbackRows:
    """Rows of rows.FEEDBACK, ascending by series, and by the order of the log within one.

    `awaited` are rows of series that are not there yet, by application and parameter: a derivation begins
    with them.
    """

    def __init__(self) -> None:
        self._rows: Rows = np.zeros(0, FEEDBACK)
        self._marked: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.awaited: dict[tuple[str, str], Rows] = {}

    @property
    def used(self) -> bool:
        """Whether there is anything."""
        return len(self._rows) > 0 or bool(self.awaited)

    def of(self, series: int) -> Rows:
        """A copy of the rows of one series, oldest first."""
        first, last = np.searchsorted(self._rows["series"], [series, series + 1])
        return self._rows[first:last].copy()

    def unmet(self, series: int) -> Rows:
        """The same as no reading has met them yet, for deriving the series again."""
        rows = self.of(series)
        rows["met"] = 0
        return rows

    def add(self, record: FeedbackGiven, series: int, acts_ms: int) -> None:
        """Take feedback in; what was taken in before, or can move the limit no further, changes nothing."""
        own = self.of(series)
        before = int(own["steps"][-1]) if len(own) else 0
        steps = steps_after(before, record.kind)
        if steps == before or record.action in own["action"]:
            return
        if len(own):  # a correction may have taken the device's newest stamp back
            acts_ms = max(acts_ms, int(own["acts_ms"][-1]))
        row = np.zeros(1, FEEDBACK)
        row["acts_ms"], row["at_ms"], row["action"] = acts_ms, record.at_ms, record.action
        row["series"], row["steps"], row["before"] = series, steps, before
        row["anomaly"] = record.anomaly.encode()
        self._put(series, np.concatenate([own, row])[-KEPT_MAX:])

    def place(self, number_of: Callable[[str, str], int | None]) -> None:
        """Take in what is awaited of series that are there now."""
        for name in list(self.awaited):
            series = number_of(*name)
            if series is not None:
                rows = self.awaited.pop(name)
                rows["series"] = series
                self._put(series, rows)

    def meet(self, readings: Readings, usual: int) -> Met | None:
        """What the readings that are to be scored meet; None if nothing was ever said of their series.

        There are `usual` rows of settings for each number of steps. Marks the rows that are met.
        """
        if not len(self._rows):
            return None
        known = readings.series < len(self._marked)
        if not self._marked[readings.series[known]].any():
            return None
        setting = readings.setting.copy()
        room = np.zeros(int((self._rows["met"] == 0).sum()), _MET)
        count = _meet(readings.series, readings.ts, self._marked, self._rows, usual, setting, room)
        return Met(replace(readings, setting=setting), room[:count])

    def between(self, series: int, from_ms: int, to_ms: int) -> tuple[LimitMoved, ...]:
        """What acted on a series in a span, the last from before it included."""
        own = self.of(series)
        first = max(int(np.searchsorted(own["acts_ms"], from_ms, side="right")) - 1, 0)
        return moved(own[first : int(np.searchsorted(own["acts_ms"], to_ms, side="right"))])

    def take_met(self, series: int, other: FeedbackRows, derived: int) -> None:
        """Mark as met what a derivation of the series has met."""
        first, last = np.searchsorted(self._rows["series"], [series, series + 1])
        if first < last:
            self._rows["met"][first:last] = other.of(derived)["met"]

    def cut(self, series: I32, ends: I64) -> list[bytes]:
        """The rows of these series, one piece for those up to each end, with places in it for numbers."""
        found = [b""] * len(ends)
        if not len(self._rows) or not len(series):
            return found
        order = np.argsort(series, kind="stable")
        at = np.searchsorted(series, self._rows["series"], sorter=order)
        place = order[np.minimum(at, len(order) - 1)]
        own = series[place] == self._rows["series"]
        part = np.searchsorted(ends, place, side="right")
        starts = np.concatenate([[0], ends])
        for number in np.unique(part[own]).tolist():
            chosen = own & (part == number)
            rows = self._rows[chosen]
            rows["series"] = place[chosen] - starts[number]
            found[number] = rows.tobytes()
        return found

    def restore(self, saved: bytes, first: int) -> None:
        """Take over a piece of series that are numbered from `first` on."""
        rows = np.frombuffer(saved, FEEDBACK).copy()
        rows["series"] += first
        self._take(np.concatenate([self._rows, rows]))

    def _put(self, series: int, rows: Rows) -> None:
        self._take(np.concatenate([self._rows[self._rows["series"] != series], rows]))

    def _take(self, rows: Rows) -> None:
        self._rows = rows[np.argsort(rows["series"], kind="stable")]
        self._marked = np.zeros(int(self._rows["series"][-1]) + 1, np.bool_)
        self._marked[self._rows["series"]] = True


def steps_after(steps: int, kind: FeedbackKind) -> int:
    """By how many steps limits are raised after feedback."""
    step = 1 if kind is FeedbackKind.FALSE_ALARM else -1
    return min(max(steps + step, 0), STEPS_MAX)


def as_if(rows: Rows, from_ms: int, steps: int) -> Rows:
    """Rows of one series as if limits had been raised by so many steps from a stamp on."""
    kept = rows[rows["acts_ms"] < from_ms]
    row = np.zeros(1, FEEDBACK)
    row["acts_ms"], row["steps"] = from_ms, steps
    row["before"] = kept["steps"][-1] if len(kept) else rows["before"][0] if len(rows) else 0
    return np.concatenate([kept, row])


def moved(rows: Rows) -> tuple[LimitMoved, ...]:
    """Rows of one series as people and evidence read them."""
    return tuple(
        LimitMoved(
            from_ms=int(row["acts_ms"]),
            steps=int(row["steps"]),
            steps_before=int(row["before"]),
            anomaly=row["anomaly"].decode(),
            action=int(row["action"]),
            at_ms=int(row["at_ms"]),
        )
        for row in rows
    )


def rows_of(said: tuple[LimitMoved, ...], from_ms: int) -> Rows:
    """The rows that `moved` tells of, for deriving a series again from the reading at `from_ms` on."""
    rows = np.zeros(len(said), FEEDBACK)
    for row, each in zip(rows, said, strict=True):
        row["acts_ms"], row["at_ms"], row["action"] = each.from_ms, each.at_ms, each.action
        row["steps"], row["before"], row["anomaly"] = each.steps, each.steps_before, each.anomaly.encode()
        row["met"] = each.from_ms <= from_ms
    return rows


@nb.njit(cache=True, nogil=True)
def _meet(
    series: I32,
    ts: I64,
    marked: npt.NDArray[np.bool_],
    rows: npt.NDArray[Any],
    usual: int,
    setting: I32,
    room: npt.NDArray[Any],
) -> int:
    """Point readings to the settings of their steps, and note where a series comes to other steps."""
    used = 0
    for i in range(len(ts)):
        s = series[i]
        if s >= len(marked) or not marked[s]:
            continue
        k = np.searchsorted(rows["series"], s)
        steps = before = np.int64(rows[k].before)
        base, moves = setting[i], False
        while k < len(rows) and rows[k].series == s and rows[k].acts_ms <= ts[i]:
            steps = np.int64(rows[k].steps)
            if rows[k].met == 0:
                rows[k].met, moves = 1, True
            else:
                before = steps
            k += 1
        setting[i] = base + usual * steps
        if moves and steps != before:
            room[used].reading, room[used].series = i, s
            room[used].before, room[used].after = base + usual * before, setting[i]
            used += 1
    return used
