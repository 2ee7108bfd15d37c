"""Third step: let each detector score the readings that its settings let it see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import Readings, Rows, Scores
from tocsin.events import I32
from tocsin.processing.ordering import Gathered
from tocsin.processing.policies import fold, stop
from tocsin.processing.rows import NO_LEARN
from tocsin.processing.state import Slot, TenantState


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one detector said about a batch."""

    detector: str
    gathered: Gathered
    scores: Scores


@dataclass(frozen=True, slots=True)
class Turns:
    """What became of runs; `rows` name the readings among these."""

    rows: npt.NDArray[Any]
    gathered: Gathered


def follow(gathered: Gathered, slot: Slot, state: TenantState) -> tuple[Verdicts, list[Turns]]:
    """Score the readings in order with one detector and fold the verdicts into runs.

    Readings that come under settings without the detector are not scored; they end the runs of their series.
    """
    found, turns = [], []
    if slot.feedback.awaited:
        slot.feedback.place(lambda application, parameter: state.series_number(0, application, parameter))
    for part, runs in _by_settings(gathered, slot):
        if runs:
            scores = score(part, slot)
            turns.append(Turns(fold(part, scores, slot, state), part))
            found.append(Verdicts(slot.detector.info.name, part, scores))
        else:
            turns.append(Turns(stop(part, slot, state), part))
    return _joined(found, gathered, slot), turns


def score(gathered: Gathered, slot: Slot) -> Scores:
    """Score the readings in order with one detector, which learns from each after scoring it.

    It does not learn from those that maintenance keeps out.
    """
    readings, scores = gathered.readings, Scores.empty(len(gathered.readings))
    met = slot.feedback.meet(readings, len(slot.usual))
    readings, settings = _paused(readings if met is None else met.readings, gathered, slot)
    start = 0
    for row in () if met is None else met.rows:
        _score(slice(start, int(row["reading"])), readings, slot, settings, scores)
        before, after = slot.settings[row["before"]], slot.settings[row["after"]]
        slot.detector.move_limits(slot.state.hot, int(row["series"]), before, after)
        if row["relearn"]:
            slot.detector.relearn(slot.state.hot, slot.state.cells, int(row["series"]))
        start = int(row["reading"])
    _score(slice(start, len(readings)), readings, slot, settings, scores)
    return scores


def _paused(readings: Readings, gathered: Gathered, slot: Slot) -> tuple[Readings, Rows]:
    """The readings by rows of settings that pause those that are not to be learnt, and these rows."""
    pauses = gathered.effects & NO_LEARN != 0
    if not pauses.any():
        return readings, slot.settings
    setting = np.where(pauses, readings.setting + len(slot.settings), readings.setting)
    return replace(readings, setting=setting.astype(np.int32)), slot.with_pauses


def _score(rows: slice, readings: Readings, slot: Slot, settings: Rows, out: Scores) -> None:
    if rows.start < rows.stop:
        own = Readings(*(getattr(readings, column.name)[rows] for column in fields(Readings)))
        part = Scores(*(getattr(out, column.name)[rows] for column in fields(Scores)))
        slot.detector.score(own, slot.state, settings, part)


def _by_settings(gathered: Gathered, slot: Slot) -> Iterator[tuple[Gathered, bool]]:
    """The readings by version of the settings, and whether it runs the detector; all at once if all do.

    Of one device later readings come under later versions, so the order of a series stays.
    """
    versions = _versions(gathered.version)
    if slot.enabled[versions].all():
        yield gathered, True
        return
    for version in versions:
        own = gathered if len(versions) == 1 else gathered.take(gathered.version == version)
        yield own, bool(slot.enabled[version])


def _versions(version: I32) -> npt.NDArray[Any]:
    """The distinct versions, ascending; that it is one alone, as nearly always, is seen at a glance."""
    if (version == version[:1]).all():
        return version[:1]
    return np.flatnonzero(np.bincount(version))


def _joined(parts: list[Verdicts], gathered: Gathered, slot: Slot) -> Verdicts:
    """The parts together, in the order of the readings."""
    if len(parts) == 1:
        return parts[0]
    seen = gathered.take(slot.enabled[gathered.version])
    scores = Scores.empty(len(seen.readings))
    for part in parts:
        rows = seen.version == part.gathered.version[0]
        for column in fields(Scores):
            getattr(scores, column.name)[rows] = getattr(part.scores, column.name)
    return Verdicts(slot.detector.info.name, seen, scores)
