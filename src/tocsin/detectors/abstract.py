"""The detector port for series: learn each series, score each reading before learning from it.

A detector is one file in this package with one public subclass of SeriesDetector; the registry finds it,
and tests/contract/test_detectors.py applies itself to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from tocsin.control import FeedbackKind, Settings
from tocsin.errors import InvalidInputError
from tocsin.events import F64, I32, I64, U8

Rows = npt.NDArray[Any]
"""A structured array: one row per series, or one row per set of settings."""

HOT_BYTES_MAX: Final = 256

LIMIT_MAX: Final = 1e6
READINGS_MAX: Final = 1e9
TIME_MAX_S: Final = 3_153_600_000.0  # a hundred years
"""Bounds of parameters for which nothing smaller can be said; with them everything stays finite."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a detector can be tuned by; its default needs no tuning, and `why` says so.

    Beyond `least` and `most` it makes no sense, or the detector could not reckon with it.
    """

    default: float
    unit: str
    why: str
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorInfo:
    """What a user or an operator must know before choosing a detector."""

    name: str
    version: int
    summary: str
    parameters: Mapping[str, Parameter]
    ready_after: str
    cost_ns_per_reading: float
    score_range: tuple[float, float]
    fails_when: str
    follows: str
    reasons: tuple[str, ...]  # names of the values of Scores.reason; 0 is "none"


@dataclass(frozen=True, slots=True)
class Readings:
    """m readings to score, all of status SCORED; per series strictly ascending in time.

    `series`: dense number, index into the state's rows. `ts`: ms UTC. `local_offset_ms`: what to add to
    get the device's local time. `setting`: index into the settings rows.
    """

    series: I32
    ts: I64
    value: F64
    local_offset_ms: I32
    setting: I32

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Scores:
    """One row per reading; the detector writes every column of each row.

    `score` is NaN while not ready; higher is stranger.
    A verdict is abnormal when the score is above 1: thresholds calibrate scores of all series and
    detectors to that scale. `expected`, `lower`, `upper`: the band that the reading was judged by, in
    the reading's unit; NaN where the detector has none.
    """

    score: F64
    expected: F64
    lower: F64
    upper: F64
    verdict: U8
    reason: U8

    @classmethod
    def empty(cls, rows: int) -> Scores:
        """Room for so many rows; what it holds before they are written is anything."""

        def numbers() -> F64:
            return np.empty(rows)

        def codes() -> U8:
            return np.empty(rows, np.uint8)

        return cls(numbers(), numbers(), numbers(), numbers(), codes(), codes())


@dataclass(frozen=True, slots=True)
class CellCapture:
    """Cells that a series under watch consulted, as they were before the reading at `ts`.

    `cells` is as `pack_cells` writes it. To derive scores again: put the hot row of the start back, and
    before each reading at a capture's `ts` put its cells back with `unpack_cells`.
    """

    series: int
    before_ms: int
    ts: int
    cells: bytes


def start_rows(hot_dtype: np.dtype[Any], readings: int) -> Rows:
    """Room for the watches that begin among so many readings, at most 256 at a time."""
    return np.zeros(min(readings + 1, 256), _start_dtype(hot_dtype))


@cache
def _start_dtype(hot_dtype: np.dtype[Any]) -> np.dtype[Any]:
    """One object a detector: compiled code takes longer to recognise a new one than to score 500 readings."""
    return np.dtype([("series", np.int32), ("ts", np.int64), ("before", hot_dtype)])


@dataclass(slots=True)
class SeriesState:
    """State of one detector: rows for `count` series of a larger capacity; grows by `reserve`.

    `hot` (at most 256 bytes a row) is touched by every reading; `cells` is a detector's cold memory.
    `starts` lists the watches that began since the caller last emptied it, in rows of `start_rows`: the
    series, the time of the first abnormal reading, and the hot row from just before it.
    """

    hot: Rows
    cells: Rows
    count: int = 0
    captures: list[CellCapture] = field(default_factory=list)
    starts: list[Rows] = field(default_factory=list)


def pack_cells(first: int, cells: Rows) -> bytes:
    """Consecutive cells from number `first`, as a capture carries them: the number (4 bytes), the cells."""
    return first.to_bytes(4, "little") + cells.tobytes()


def unpack_cells(captured: bytes, cells: Rows) -> None:
    """Put captured cells back into the `cells` of one series (an array of its cells)."""
    first = int.from_bytes(captured[:4], "little")
    consulted = np.frombuffer(captured, cells.dtype, offset=4)
    cells[first : first + len(consulted)] = consulted


@dataclass(frozen=True, slots=True)
class Learnt:
    """One kind of number that a detector has learnt: row i is about the i-th of `series`.

    `hour_of_week` counts from Monday 0:00 local time, -1 where the number is about no hour.
    """

    name: str
    series: I64
    hour_of_week: I64
    value: F64


class SeriesDetector(ABC):
    """Vectorised over many series; stateless itself (state and settings are passed in).

    Kernels use only + − × ÷ and square root in a fixed order, no fast-math, so that scores agree bit by
    bit on every machine; cutting a batch anywhere changes nothing.

    `hot_dtype` must have the int64 fields `before_ms` and `last_abnormal_ms` (both start at
    NEVER_MS). The kernel keeps them: at an abnormal reading that comes later than
    `last_abnormal_ms + watch_ms`, it first adds a copy of the row to `starts` and sets `before_ms` to the
    reading's time. While a series is watched (its time ≤ last_abnormal_ms + watch_ms), every look-up in
    `cells` is reported as a CellCapture. `watch_ms` is a field of every settings row. A detector may watch
    longer: those of Tocsin end a watch at a normal reading, when `watch_ms` have passed since the last
    abnormal one and `watch_readings` normal ones in a row were seen, which is when a policy ends its run.
    """

    info: ClassVar[DetectorInfo]
    hot_dtype: ClassVar[np.dtype[Any]]
    cell_dtype: ClassVar[np.dtype[Any]]
    cell_count: ClassVar[int]  # cells per series; 0 = none
    settings_dtype: ClassVar[np.dtype[Any]]
    state_version: ClassVar[int]
    limits: ClassVar[tuple[str, ...]] = ()  # fields of a settings row that feedback raises; none: it can't
    firm_reasons: ClassVar[tuple[str, ...]] = ()  # what no feedback would have changed
    hold: ClassVar[str] = ""  # field of a settings row: for how many ms what is abnormal is not learnt
    relearns: ClassVar[bool] = False  # whether feedback may have it learn a series anew
    pause: ClassVar[str] = ""  # field of a settings row: other than 0 where nothing is to be learnt

    @abstractmethod
    def settings_row(self, settings: Settings, parameter: str) -> Rows:
        """The settings of one parameter as an array of one row; bad overrides raise InvalidInputError."""

    def values_of(self, settings: Settings) -> dict[str, float]:
        """Declared parameters under the tenant's overrides; the first of `faults` is raised."""
        for error in self.faults(settings).values():
            raise error
        declared, overrides = self.info.parameters, settings.detectors.get(self.info.name, {})
        return {key: float(overrides.get(key, declared[key].default)) for key in declared}

    def faults(self, settings: Settings) -> dict[str, InvalidInputError]:
        """The overrides that can't be used, by name, sorted: not declared, or out of the declared bounds."""
        overrides = settings.detectors.get(self.info.name, {})
        found = ((key, self._fault(key, value)) for key, value in sorted(overrides.items()))
        return {
            key: InvalidInputError(fault, field=f"detectors.{self.info.name}.{key}")
            for key, fault in found
            if fault
        }

    def _fault(self, key: str, value: float) -> str:
        """What is wrong with an override; nothing if it can be used."""
        name, declared = self.info.name, self.info.parameters.get(key)
        if declared is None:
            return (
                f"detector {name} has no parameter {key!r}; it has {', '.join(sorted(self.info.parameters))}"
            )
        if declared.least <= value <= declared.most:
            return ""
        return (
            f"detector {name}: {key} is {value:g} ({declared.unit}), but must be between "
            f"{declared.least:g} and {declared.most:g}"
        )

    def hears(self, kind: FeedbackKind) -> bool:
        """Whether feedback of this kind can act on what it does."""
        match kind:
            case FeedbackKind.FALSE_ALARM:
                return bool(self.limits)
            case FeedbackKind.CONFIRMED | FeedbackKind.EXPECTED:
                return bool(self.hold)
            case FeedbackKind.NEW_NORMAL:
                return self.relearns
            case FeedbackKind.WITHDRAWN:
                return bool(self.limits or self.hold or self.relearns)

    def held(self, settings: Rows, least_ms: int, most_ms: int) -> Rows:
        """Settings rows under which what is abnormal is learnt no sooner and no later than in such a time."""
        rows = settings.copy()
        if self.hold:
            rows[self.hold] = np.clip(settings[self.hold], least_ms, most_ms)
        return rows

    def paused(self, settings: Rows) -> Rows:
        """Settings rows under which readings are judged and nothing is learnt from them.

        The same ones for a detector that names no `pause`: it learns from everything.
        """
        rows = settings.copy()
        if self.pause:
            rows[self.pause] = 1
        return rows

    def relearn(self, hot: Rows, cells: Rows, series: int) -> None:
        """Forget in place what was learnt of a series, but not that a run of it is under watch."""
        kept = {name: hot[name][series] for name in WATCH_FIELDS if name in (self.hot_dtype.names or ())}
        fresh, cells[series] = np.zeros(1, self.hot_dtype), 0
        self.initialise(fresh, cells[series : series + 1])
        hot[series] = fresh[0]
        for name, value in kept.items():
            hot[name][series] = value

    def raised(self, settings: Rows, factor: float) -> Rows:
        """Settings rows with their limits so many times as high."""
        rows = settings.copy()
        for name in self.limits:
            rows[name] = settings[name] * factor
        return rows

    def move_limits(self, hot: Rows, series: int, before: Rows, after: Rows) -> None:
        """Let limits that the row of a series holds follow its settings, from row `before` to `after`.

        Called before the first reading that is judged by `after`; nothing to do for a detector that reads its
        limits anew at each reading.
        """
        del hot, series, before, after

    @abstractmethod
    def initialise(self, hot: Rows, cells: Rows) -> None:
        """Fill zeroed rows of new series in place."""

    @abstractmethod
    def score(self, readings: Readings, state: SeriesState, settings: Rows, out: Scores) -> None:
        """Score every reading, then learn from it, in row order; releases the GIL."""

    def end_watch(self, hot: Rows) -> None:
        """Forget in place that these series are watched: settings without the detector ended their runs."""
        hot["last_abnormal_ms"] = NEVER_MS
        if "watched" in (self.hot_dtype.names or ()):
            hot["watched"] = 0

    def learnt(self, hot: Rows, cells: Rows) -> list[Learnt]:
        """What people may read of the state, for the table `models`; nothing unless a detector offers it."""
        del hot, cells
        return []

    @abstractmethod
    def reference(self, settings: Rows) -> ReferenceSeries:
        """One series in plain Python floats, written from the definition; must equal `score` bit by bit."""

    @abstractmethod
    def explain(self, facts: EpisodeFacts) -> str:
        """One English sentence with numbers, without a full stop at the end."""


class ReferenceSeries(ABC):
    """A series scored one reading at a time, slowly and plainly."""

    @abstractmethod
    def step(self, ts: int, value: float, local_offset_ms: int) -> ReferenceScore:
        """Score one reading, then learn from it."""

    def move_limits(self, settings: Rows) -> None:
        """Judge by this settings row from here on; it differs in nothing but the detector's `limits`.

        TypeError from the reference of a detector that names no limits: nobody may move them.
        """
        raise TypeError(f"{type(self).__name__} has no limits to move: its detector names none")

    def pause_learning(self, settings: Rows) -> None:
        """Learn from here on as this settings row says, which differs in nothing but the detector's `pause`.

        TypeError from the reference of a detector that names none.
        """
        raise TypeError(f"{type(self).__name__} always learns: its detector names no pause")

    def relearn(self, settings: Rows) -> None:
        """Forget what was learnt, but not that a run is under watch.

        TypeError from the reference of a detector that does not learn anew.
        """
        raise TypeError(f"{type(self).__name__} does not learn anew: its detector does not say so")


@dataclass(frozen=True, slots=True)
class ReferenceScore:
    """A row of Scores."""

    score: float
    expected: float
    lower: float
    upper: float
    verdict: int
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFacts:
    """What an explanation may speak of; the peak's numbers, times in ms UTC."""

    parameter: str
    unit: str
    reason: str
    value: float
    expected: float
    lower: float
    upper: float
    score: float
    peak_ms: int
    peak_local_offset_ms: int
    started_ms: int
    last_abnormal_ms: int
    readings: int


NEVER_MS: Final = -(1 << 62)

BASE_HOT_FIELDS: Final = [("before_ms", np.int64), ("last_abnormal_ms", np.int64)]

WATCH_FIELDS: Final = ("before_ms", "last_abnormal_ms", "normals", "watched")
"""Fields of a hot row that say that a series is watched, as far as a detector has them."""
