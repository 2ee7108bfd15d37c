"""What people said of series, as one detector's state holds it: few rows, in the order of series and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.control import FEEDBACK_LASTS_MS, LIMIT_FACTORS, STEPS_MAX, FeedbackGiven, FeedbackKind, kind_of
from tocsin.detectors.abstract import Readings, Rows
from tocsin.events import I32, I64
from tocsin.model import FeedbackActed
from tocsin.processing.rows import FEEDBACK

KEPT_MAX: Final = 32
"""Of a series and detector; corrections know of what is forgotten only how high it left the limits."""

KINDS: Final = tuple(FeedbackKind)
"""What the numbers in rows mean."""

HOLDS: Final = ((None, None), (FEEDBACK_LASTS_MS, 1 << 62), (0, 0))
"""For how long at least and at most what is abnormal is not learnt: as ever, if confirmed, if expected."""

HOURS_A_WEEK: Final = 168

_RETROACTIVE: Final = (FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED)
_CONFIRMED: Final = KINDS.index(FeedbackKind.CONFIRMED)
_EXPECTED: Final = KINDS.index(FeedbackKind.EXPECTED)
_NEW_NORMAL: Final = KINDS.index(FeedbackKind.NEW_NORMAL)
_WITHDRAWN: Final = KINDS.index(FeedbackKind.WITHDRAWN)
_OTHERS: Final = (_CONFIRMED, _EXPECTED, _NEW_NORMAL)
_FACTORS: Final = len(LIMIT_FACTORS)
_HOUR_MS: Final = 3_600_000

_MET: Final = np.dtype(
    [("reading", "i8"), ("series", "i4"), ("before", "i4"), ("after", "i4"), ("relearn", "u1")], align=True
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

    def add(self, record: FeedbackGiven, series: int, newest_ms: int, hours: Rows) -> bool:
        """Take feedback in; whether it changes what the device's readings up to now have left.

        What was taken in before, or can move the limit no further, changes nothing. `newest_ms` is the
        device's newest stamp, `hours` the hours of the week that the record is about.
        """
        own = self.of(series)
        found = with_feedback(own, record, newest_ms, hours)
        if len(found) == len(own) and found.tobytes() == own.tobytes():
            return False
        found["series"] = series
        self._put(series, bounded(found))
        return concerns_past(own, record.kind)

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

        There are `usual` rows of settings for each number of steps, and all of them for each of HOLDS. Marks
        the rows that are met.
        """
        if not len(self._rows):
            return None
        known = readings.series < len(self._marked)
        if not self._marked[readings.series[known]].any():
            return None
        setting = readings.setting.copy()
        room = np.zeros(int((self._rows["met"] == 0).sum()), _MET)
        columns = readings.series, readings.ts, readings.local_offset_ms
        count = _meet(*columns, self._marked, self._rows, usual, setting, room)
        return Met(replace(readings, setting=setting), room[:count])

    def between(self, series: int, from_ms: int, to_ms: int) -> tuple[FeedbackActed, ...]:
        """What acted on a series in a span, the last from before it included."""
        own = self.of(series)
        own = own[own["void"] == 0]
        first = max(int(np.searchsorted(own["acts_ms"], from_ms, side="right")) - 1, 0)
        acting = own["until_ms"] > from_ms
        acting[first:] = True
        return acted(own[acting & (own["acts_ms"] <= to_ms)])

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


def with_feedback(own: Rows, record: FeedbackGiven, newest_ms: int, hours: Rows) -> Rows:
    """The rows of one series with feedback added at their end; the same where it changes nothing."""
    before = int(own["steps"][-1]) if len(own) else 0
    taken_back = _last_standing(own) if record.kind is FeedbackKind.WITHDRAWN else None
    steps = steps_after(before, record.kind) if taken_back is None else before
    moves = record.kind in (FeedbackKind.FALSE_ALARM, FeedbackKind.WITHDRAWN) and taken_back is None
    if record.action in own["action"] or (moves and steps == before):
        return own
    row = np.zeros(1, FEEDBACK)
    row["acts_ms"], row["at_ms"], row["action"] = newest_ms + 1, record.at_ms, record.action
    row["kind"], row["steps"], row["before"] = KINDS.index(record.kind), steps, before
    row["anomaly"] = record.anomaly.encode()
    if record.kind in _RETROACTIVE:
        row["acts_ms"] = _begins_ms(record, newest_ms)
        row["until_ms"] = row["acts_ms"] + FEEDBACK_LASTS_MS
        row["hours"] = hours if record.kind is FeedbackKind.EXPECTED else 0
    if len(own):  # a correction may have taken the device's newest stamp back
        row["acts_ms"] = np.maximum(row["acts_ms"], own["acts_ms"][-1])
    found = np.concatenate([own, row])
    if taken_back is not None:
        found["void"][[taken_back, -1]] = 1
        found["acts_ms"][-1] = own["acts_ms"][-1]
        raised = own["steps"][taken_back] - own["before"][taken_back]
        found["steps"][taken_back:] -= raised
        found["before"][taken_back + 1 :] -= raised
    return found


def bounded(found: Rows) -> Rows:
    """The rows of one series without one where they are too many, of which the last was just added.

    What moved limits goes before what acts otherwise: of that it stays known how high they were at its end.
    """
    if len(found) <= KEPT_MAX:
        return found
    of_limits = (found["void"] == 1) | ~np.isin(found["kind"], _OTHERS)
    oldest = int(np.argmax(of_limits[:-1]))  # 0 where none is
    kept = np.delete(found, oldest)
    kept["steps"][:oldest] = kept["before"][:oldest] = found["steps"][oldest]
    return kept


def concerns_past(own: Rows, kind: FeedbackKind) -> bool:
    """Whether feedback on a series with these rows changes how readings of before it were judged."""
    if kind is FeedbackKind.WITHDRAWN:
        return _last_standing(own) is not None
    return kind in _RETROACTIVE


def _begins_ms(record: FeedbackGiven, newest_ms: int) -> int:
    """Where the anomaly began, but not long ago."""
    first_ms = record.spans[0][0] if record.spans else newest_ms + 1
    return max(min(first_ms, newest_ms + 1), newest_ms - FEEDBACK_LASTS_MS)


def _last_standing(own: Rows) -> int | None:
    """The row to take back, which is the last that was said and stands; None where none is known."""
    standing = np.flatnonzero((own["void"] == 0) & (own["kind"] != _WITHDRAWN))
    return int(standing[-1]) if len(standing) else None


def steps_after(steps: int, kind: FeedbackKind) -> int:
    """By how many steps limits are raised after feedback."""
    step = {FeedbackKind.FALSE_ALARM: 1, FeedbackKind.WITHDRAWN: -1}.get(kind, 0)
    return min(max(steps + step, 0), STEPS_MAX)


def as_if(rows: Rows, from_ms: int, steps: int, kind: FeedbackKind) -> Rows:
    """Rows of one series as if limits had been raised by so many steps, by that kind, from a stamp on.

    What acts otherwise since then goes on to do so.
    """
    kept = rows[rows["acts_ms"] < from_ms]
    row = np.zeros(1, FEEDBACK)
    row["acts_ms"], row["steps"], row["kind"] = from_ms, steps, KINDS.index(kind)
    row["before"] = kept["steps"][-1] if len(kept) else rows["before"][0] if len(rows) else 0
    others = (rows["void"] == 0) & np.isin(rows["kind"], _OTHERS)
    later = rows[(rows["acts_ms"] >= from_ms) & others]
    later["steps"] = later["before"] = steps
    return np.concatenate([kept, row, later])


def acted(rows: Rows) -> tuple[FeedbackActed, ...]:
    """Rows of one series as people and evidence read them; without what was taken back."""
    return tuple(_acted(row) for row in rows if not row["void"])


def remembered(rows: Rows) -> tuple[FeedbackActed, ...]:
    """As `acted`; where that is nothing, the last row tells how high what is forgotten left the limits."""
    found = acted(rows)
    return found if found or not rows["steps"][-1:].any() else (_acted(rows[-1]),)


def _acted(row: Any) -> FeedbackActed:
    kind = KINDS[row["kind"]]
    moves = kind in (FeedbackKind.FALSE_ALARM, FeedbackKind.WITHDRAWN)
    return FeedbackActed(
        from_ms=int(row["acts_ms"]),
        steps=int(row["steps"]),
        steps_before=int(row["before"]),
        anomaly=row["anomaly"].decode(),
        action=int(row["action"]),
        at_ms=int(row["at_ms"]),
        kind="" if moves else kind.value,
        until_ms=int(row["until_ms"]),
        hours=hours_in(row["hours"]),
    )


def bits_of(hours: Iterable[int]) -> Rows:
    """Hours of the week as a row holds them."""
    words = np.zeros(3, np.uint64)
    for hour in hours:
        words[hour // 64] |= np.uint64(1 << hour % 64)
    return words


def hours_in(words: Rows) -> tuple[int, ...]:
    """The hours of the week that a row names, ascending."""
    return tuple(hour for hour in range(HOURS_A_WEEK) if int(words[hour // 64]) >> hour % 64 & 1)


def rows_of(said: tuple[FeedbackActed, ...], from_ms: int) -> Rows:
    """The rows that `acted` tells of, for deriving a series again from the reading at `from_ms` on."""
    rows = np.zeros(len(said), FEEDBACK)
    for row, each in zip(rows, said, strict=True):
        row["acts_ms"], row["at_ms"], row["action"] = each.from_ms, each.at_ms, each.action
        row["steps"], row["before"], row["anomaly"] = each.steps, each.steps_before, each.anomaly.encode()
        row["kind"], row["until_ms"] = KINDS.index(kind_of(each)), each.until_ms
        row["hours"] = bits_of(each.hours)
        row["met"] = each.from_ms <= from_ms
    return rows


@nb.njit(cache=True, nogil=True)
def _meet(
    series: I32,
    ts: I64,
    local_offset_ms: I32,
    marked: npt.NDArray[np.bool_],
    rows: npt.NDArray[Any],
    usual: int,
    setting: I32,
    room: npt.NDArray[Any],
) -> int:
    """Point readings to the settings of what was said, and note where a series comes to more of it."""
    used = 0
    for i in range(len(ts)):
        s = series[i]
        if s >= len(marked) or not marked[s]:
            continue
        k = np.searchsorted(rows["series"], s)
        steps = before = np.int64(rows[k].before)
        base, moves, relearn, hold = setting[i], False, 0, 0
        while k < len(rows) and rows[k].series == s and rows[k].acts_ms <= ts[i]:
            row = rows[k]
            steps = np.int64(row.steps)
            if row.met == 0:
                row.met, moves = 1, True
                if row.kind == _NEW_NORMAL and row.void == 0:
                    relearn = 1
            else:
                before = steps
            if row.void == 0 and ts[i] < row.until_ms:
                if row.kind == _CONFIRMED:
                    hold = 1
                elif row.kind == _EXPECTED and _names_hour(row, ts[i] + local_offset_ms[i]):
                    hold = 2
            k += 1
        setting[i] = base + usual * (steps + _FACTORS * hold)
        if moves and (steps != before or relearn):
            room[used].reading, room[used].series, room[used].relearn = i, s, relearn
            room[used].before, room[used].after = base + usual * before, base + usual * steps
            used += 1
    return used


@nb.njit(cache=True, nogil=True)
def _names_hour(row: Any, local_ms: int) -> bool:
    hours = local_ms // _HOUR_MS
    hour = (hours // 24 + 3) % 7 * 24 + hours % 24  # 1970 began on a Thursday
    named: bool = ((row.hours[hour // 64] >> np.uint64(hour % 64)) & np.uint64(1)) != 0
    return named
