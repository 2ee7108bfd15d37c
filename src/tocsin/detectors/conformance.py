"""What every detector must keep, as functions that raise AssertionError: for tests of your own detector too.

`check(detector, history)` runs all of them on one history; tests/contract/test_detectors.py feeds it
histories that no device would send.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from tocsin.control import FEEDBACK_LASTS_MS, Settings
from tocsin.detectors.abstract import (
    BASE_HOT_FIELDS,
    HOT_BYTES_MAX,
    CellCapture,
    Readings,
    ReferenceSeries,
    Rows,
    Scores,
    SeriesDetector,
    SeriesState,
    unpack_cells,
)
from tocsin.errors import InvalidInputError
from tocsin.events import F64, I32, I64
from tocsin.model import Verdict

COLUMNS: Final = ("score", "expected", "lower", "upper", "verdict", "reason")
UNWRITTEN: Final = 77  # no score, limit, verdict or reason of the histories here
PARAMETER: Final = "value"


@dataclass(frozen=True, slots=True)
class History:
    """The readings of one series: times in ms, strictly ascending; finite values; offsets to local time."""

    ts: I64
    value: F64
    local_offset_ms: I32

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, start: int, stop: int) -> History:
        """The readings from number `start` up to, not with, `stop`."""
        cut = slice(start, stop)
        return History(self.ts[cut], self.value[cut], self.local_offset_ms[cut])


def new_state(detector: SeriesDetector, series: int = 1) -> SeriesState:
    """State of `series` series that have seen nothing."""
    hot = np.zeros(series, detector.hot_dtype)
    cells = np.zeros((series, detector.cell_count), detector.cell_dtype)
    detector.initialise(hot, cells)
    return SeriesState(hot, cells, series)


def score(
    detector: SeriesDetector,
    history: History,
    state: SeriesState | None = None,
    series: int = 0,
    settings: Rows | None = None,
) -> Scores:
    """The scores of a history, with default settings or `settings`; goes on from `state` if there is one."""
    count = len(history)
    readings = Readings(
        np.full(count, series, np.int32),
        history.ts,
        history.value,
        history.local_offset_ms,
        np.zeros(count, np.int32),
    )
    out = Scores.empty(count)
    for name in COLUMNS:
        getattr(out, name)[:] = UNWRITTEN
    rules = settings_of(detector) if settings is None else settings
    detector.score(readings, state or new_state(detector), rules, out)
    return out


def settings_of(detector: SeriesDetector) -> Rows:
    """The settings row that defaults give."""
    return detector.settings_row(Settings(), PARAMETER)


def check(detector: SeriesDetector, history: History) -> None:
    """All checks on one history; costs about 30 µs a reading, most of it in the reference."""
    check_declaration(detector)
    check_settings(detector)
    scores = score(detector, history)
    check_scores(detector, scores)
    check_reference(detector, history, scores)
    check_cutting(detector, history, scores)
    check_neighbours(detector, history, scores)
    check_evidence(detector, history, scores)
    check_limits(detector, history)
    check_relearning(detector, history)
    check_pausing(detector, history)


def check_declaration(detector: SeriesDetector) -> None:
    """It says what a user must know, and its rows fit."""
    info = detector.info
    told = (info.name, info.summary, info.ready_after, info.fails_when, info.follows)
    assert all(told), "an empty declaration"
    for name, parameter in info.parameters.items():
        assert parameter.unit, f"{name} has no unit"
        assert parameter.why, f"{name} has no reason"
        assert parameter.least <= parameter.default <= parameter.most, (
            f"the default of {name} is out of bounds"
        )
    assert info.reasons[0] == "none"
    assert info.score_range[0] < 1.0 < info.score_range[1], "1 is the limit of every score"
    assert detector.hot_dtype.itemsize <= HOT_BYTES_MAX
    for name, kind in BASE_HOT_FIELDS:
        assert detector.hot_dtype[name] == kind, f"hot state needs {name} as {kind}"
    assert "watch_ms" in (detector.settings_dtype.names or ())
    for dtype in (detector.hot_dtype, detector.cell_dtype, detector.settings_dtype):
        assert not dtype.hasobject, "state is bytes"


def check_settings(detector: SeriesDetector) -> None:
    """A typing error in its parameters is answered with the names that there are."""
    mistyped = Settings(detectors={detector.info.name: {"no such parameter": 1.0}})
    refusal = ""
    try:
        detector.settings_row(mistyped, PARAMETER)
    except InvalidInputError as error:
        refusal = str(error)
    assert "it has" in refusal, "an unknown parameter is not refused with the known ones: see `values_of`"


def check_scores(detector: SeriesDetector, scores: Scores) -> None:
    """Verdicts follow from scores; "not ready" is NaN and nothing else is; nothing is infinite."""
    unready, abnormal = scores.verdict == Verdict.NOT_READY, scores.verdict == Verdict.ABNORMAL
    np.testing.assert_array_equal(np.isnan(scores.score), unready)
    np.testing.assert_array_equal(scores.score > 1.0, abnormal)
    np.testing.assert_array_equal(scores.reason > 0, abnormal)
    ready = scores.score[~unready]
    lowest, highest = detector.info.score_range
    assert ((lowest <= ready) & (ready <= highest) & np.isfinite(ready)).all(), "out of the declared range"
    assert (scores.reason < len(detector.info.reasons)).all()


def check_reference(detector: SeriesDetector, history: History, scores: Scores) -> None:
    """The compiled form equals the plain one, bit by bit."""
    _assert_equals(detector.reference(settings_of(detector)), history, scores)


def _assert_equals(reference: ReferenceSeries, history: History, scores: Scores) -> None:
    columns = zip(history.ts.tolist(), history.value.tolist(), history.local_offset_ms.tolist(), strict=True)
    expected = [reference.step(*reading) for reading in columns]
    for name in COLUMNS:
        plain = np.array([getattr(row, name) for row in expected], getattr(scores, name).dtype)
        np.testing.assert_array_equal(_bits(getattr(scores, name)), _bits(plain), err_msg=name)


def check_limits(detector: SeriesDetector, history: History) -> None:
    """Limits that are raised on the way, and lowered again, mean the same in both forms."""
    names = detector.settings_dtype.names or ()
    assert set(detector.limits) <= set(names), "limits name fields of a settings row"
    assert set(detector.firm_reasons) <= set(detector.info.reasons), "firm reasons are reasons"
    if not detector.limits:
        return
    usual = settings_of(detector)
    rules, state, reference = [usual, detector.raised(usual, 1.5), usual], new_state(detector), None
    edges = [0, len(history) // 3, 2 * len(history) // 3, len(history)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        if reference is None:
            reference = detector.reference(usual)
        else:
            detector.move_limits(state.hot, 0, rules[number - 1][0], rules[number][0])
            reference.move_limits(rules[number])
        part = history.part(start, stop)
        scores = score(detector, part, state, settings=rules[number])
        _assert_equals(reference, part, scores)


def check_relearning(detector: SeriesDetector, history: History) -> None:
    """What is learnt anew on the way, in the middle of runs too, is the same in both forms."""
    names = detector.settings_dtype.names or ()
    assert detector.hold in (*names, ""), "hold names a field of a settings row"
    if not detector.relearns:
        return
    usual = settings_of(detector)
    longer = detector.held(usual, FEEDBACK_LASTS_MS, FEEDBACK_LASTS_MS)
    state, reference = new_state(detector), detector.reference(longer)
    edges = sorted({0, len(history) // 2, len(history) // 2 + 1, 3 * len(history) // 4, len(history)})
    for start, stop in pairwise(edges):
        if start:
            detector.relearn(state.hot, state.cells, 0)
            reference.relearn(longer)
        part = history.part(start, stop)
        _assert_equals(reference, part, score(detector, part, state, settings=longer))


def check_pausing(detector: SeriesDetector, history: History) -> None:
    """Pauses on the way, in the middle of runs too, are the same in both forms and leave cells alone."""
    names = detector.settings_dtype.names or ()
    assert detector.pause in (*names, ""), "pause names a field of a settings row"
    if not detector.pause:
        return
    usual = settings_of(detector)
    rules = (usual, detector.paused(usual))
    state, reference = new_state(detector), detector.reference(usual)
    parts = [len(history) * eighth // 8 for eighth in range(9)]
    edges = sorted({*parts, len(history) // 2 + 1})
    for number, (start, stop) in enumerate(pairwise(edges)):
        rule, part = rules[number % 2], history.part(start, stop)
        reference.pause_learning(rule)
        _assert_equals(reference, part, score(detector, part, state, settings=rule))
    _check_nothing_learnt(detector, history)


def _check_nothing_learnt(detector: SeriesDetector, history: History) -> None:
    """A series that has only ever been paused is judged as a new one behind that."""
    half, paused = len(history) // 2, detector.paused(settings_of(detector))
    state = new_state(detector)
    score(detector, history.part(0, half), state, settings=paused)
    detector.end_watch(state.hot)
    behind = history.part(half, len(history))
    _assert_same(score(detector, behind), [score(detector, behind, state)])


def check_cutting(detector: SeriesDetector, history: History, scores: Scores) -> None:
    """Cutting the history into batches anywhere changes neither scores nor state."""
    whole, cut = new_state(detector), new_state(detector)
    score(detector, history, whole)
    edges = sorted({0, 1, len(history) // 3, len(history) // 2, len(history)})
    parts = [score(detector, history.part(*edge), cut) for edge in pairwise(edges)]
    _assert_same(scores, parts)
    assert whole.hot.tobytes() == cut.hot.tobytes()
    assert whole.cells.tobytes() == cut.cells.tobytes()
    assert [c.cells for c in whole.captures] == [c.cells for c in cut.captures]


def check_neighbours(detector: SeriesDetector, history: History, scores: Scores) -> None:
    """Another series in the same batch, with other values, changes nothing."""
    count = len(history)
    readings = Readings(
        np.tile(np.array([1, 0], np.int32), count),
        np.repeat(history.ts, 2),
        np.stack([history.value, -3.0 * np.clip(history.value, -1e9, 1e9)], 1).ravel(),
        np.repeat(history.local_offset_ms, 2),
        np.zeros(2 * count, np.int32),
    )
    out = Scores.empty(2 * count)
    detector.score(readings, new_state(detector, 2), settings_of(detector), out)
    own = Scores(*(getattr(out, name)[::2] for name in COLUMNS))
    _assert_same(scores, [own])


def check_evidence(detector: SeriesDetector, history: History, scores: Scores) -> None:
    """From the row kept before a run and the cells captured, the run's scores can be derived again."""
    state = new_state(detector)
    score(detector, history, state)
    starts = [row for rows in state.starts for row in rows]
    abnormal = np.flatnonzero(scores.verdict == Verdict.ABNORMAL)
    edges = [int(row["ts"]) for row in starts] + [int(history.ts[-1]) + 1 if len(history) else 0]
    assert bool(starts) == bool(len(abnormal)), "every abnormal reading lies in a run that was begun"
    for start, (from_ms, next_ms) in zip(starts, pairwise(edges), strict=True):
        first, end = (int(np.searchsorted(history.ts, edge)) for edge in (from_ms, next_ms))
        last = int(abnormal[abnormal < end][-1])
        again = _derive(detector, start["before"], state.captures, history.part(first, last + 1), from_ms)
        _assert_same(Scores(*(getattr(scores, name)[first : last + 1] for name in COLUMNS)), again)


def _derive(
    detector: SeriesDetector, before: Rows, captures: list[CellCapture], history: History, from_ms: int
) -> list[Scores]:
    """Scores of a run from its evidence alone; all cells but the captured ones are rubbish."""
    state = new_state(detector)
    state.cells.view(np.uint8)[:] = 3
    state.hot[0] = before
    cells_at = {capture.ts: capture.cells for capture in captures if capture.before_ms == from_ms}
    edges = {0, len(history), *(row for row, ts in enumerate(history.ts.tolist()) if ts in cells_at)}
    scores = []
    for start, stop in pairwise(sorted(edges)):
        captured = cells_at.get(int(history.ts[start]))
        if captured is not None:
            unpack_cells(captured, state.cells[0])
        scores.append(score(detector, history.part(start, stop), state))
    return scores


def _assert_same(expected: Scores, parts: Iterable[Scores]) -> None:
    parts = list(parts)
    for name in COLUMNS:
        whole = np.concatenate([getattr(part, name) for part in parts]) if parts else np.zeros(0)
        np.testing.assert_array_equal(_bits(getattr(expected, name)), _bits(whole), err_msg=name)


def _bits(column: Rows) -> Rows:
    """Floats as integers, NaN being one value; anything else as it is."""
    if column.dtype != np.float64:
        return column
    return np.where(np.isnan(column), np.nan, column).view(np.int64)
