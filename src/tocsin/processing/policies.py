"""Fourth step: fold verdicts into runs, and say when a run opens, worsens and closes.

The rule is that of control.Policy. The step also adds every verdict to the digest `scored`.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import Scores
from tocsin.events import F64, I32, I64, U8
from tocsin.model import Severity, Verdict
from tocsin.processing.hashing import add_128, verdict_row
from tocsin.processing.ordering import Gathered
from tocsin.processing.rows import CANDIDATE, IDLE, NO_ALERT, OPEN, POLICY, SUPPRESSED
from tocsin.processing.state import Slot, TenantState

OPENED, WORSENED, CLOSED = range(3)

TURN: Final = np.dtype(
    [
        ("run", POLICY),  # the run as it stood
        ("at_ms", "i8"),
        ("series", "i4"),
        ("reading", "i4"),  # row among the gathered readings
        ("version", "i4"),
        ("kind", "u1"),
    ],
    align=True,
)

SEVERITIES: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
WARNING_SCORE: Final = 1.5
CRITICAL_SCORE: Final = 3.0

_ABNORMAL: Final = int(Verdict.ABNORMAL)
_NOT_READY: Final = int(Verdict.NOT_READY)
_ROOM: Final = 256


def fold(gathered: Gathered, scores: Scores, slot: Slot, state: TenantState) -> npt.NDArray[Any]:
    """Advance the runs of a detector by these verdicts; the turns they took, in order."""
    readings = gathered.readings
    room = np.empty(min(len(readings), _ROOM), TURN)
    found: list[npt.NDArray[Any]] = []
    start = 0
    while start < len(readings):
        start, turns = _fold(
            start,
            readings.series,
            readings.ts,
            readings.value,
            readings.local_offset_ms,
            gathered.version,
            gathered.effects,
            scores.score,
            scores.expected,
            scores.lower,
            scores.upper,
            scores.verdict,
            scores.reason,
            slot.label,
            slot.bit,
            slot.policy.rows,
            state.series.rows,
            state.timeline.rows,
            state.scored_total,
            room,
        )
        if turns:
            found.append(room[:turns].copy())
    return np.concatenate(found) if found else room[:0]


def stop(gathered: Gathered, slot: Slot, state: TenantState) -> npt.NDArray[Any]:
    """End the runs of series that the detector does not judge any more, each at its first reading here.

    Returns the turns of those that were open, in order.
    """
    own = gathered.readings
    running = np.flatnonzero(state.series.rows["running"][own.series] & slot.bit)
    rows = np.sort(running[np.unique(own.series[running], return_index=True)[1]])
    series = own.series[rows]
    turns = np.zeros(len(rows), TURN)
    turns["run"], turns["at_ms"], turns["series"] = slot.policy.rows[series], own.ts[rows], series
    turns["reading"], turns["version"], turns["kind"] = rows, gathered.version[rows], CLOSED
    slot.policy.rows["phase"][series] = IDLE
    state.series.rows["running"][series] &= ~slot.bit
    released = slot.state.hot[series]
    slot.detector.end_watch(released)
    slot.state.hot[series] = released
    found: npt.NDArray[Any] = turns[turns["run"]["phase"] >= OPEN]
    return found


@nb.njit(cache=True, nogil=True, inline="always")
def severity_of(score: float) -> int:
    """Index into SEVERITIES."""
    return (score >= WARNING_SCORE) + (score >= CRITICAL_SCORE)


@nb.njit(cache=True, nogil=True)
def _start_run(run: Any, ts: int) -> None:
    run.phase = CANDIDATE
    run.started_ms = ts
    run.opened_ms = 0
    run.readings = 0
    run.rows_low = np.uint64(0)
    run.rows_high = np.uint64(0)
    run.score = -1.0
    run.severity = 0


@nb.njit(cache=True, nogil=True)
def _take_abnormal(
    run: Any,
    ts: int,
    value: float,
    offset_ms: int,
    score: float,
    expected: float,
    lower: float,
    upper: float,
    reason: int,
) -> Any:
    """Count an abnormal reading; whether the severity grew."""
    run.readings += 1
    run.calm = 0
    run.last_abnormal_ms = ts
    if not score > run.score:
        return False
    run.peak_ms, run.peak_local_offset_ms = ts, offset_ms
    run.score, run.value, run.expected = score, value, expected
    run.lower, run.upper, run.reason = lower, upper, reason
    severity = severity_of(score)
    grew = severity > run.severity
    run.severity = max(severity, run.severity)
    return grew


@nb.njit(cache=True, nogil=True)
def _after_abnormal(run: Any, rules: Any, ts: int, grew: bool, silenced: bool) -> int:
    """The turn that a run takes by an abnormal reading, -1 for none.

    Where nobody is to be alerted, a run that would open is suppressed; it opens at its first abnormal reading
    after that.
    """
    if run.phase == OPEN or (run.phase == SUPPRESSED and silenced):
        return WORSENED if grew else -1
    ripe = ts - run.started_ms >= rules.open_after_ms and run.readings >= rules.open_readings
    if run.phase != SUPPRESSED and not ripe:
        return -1
    run.phase = SUPPRESSED if silenced else OPEN
    run.opened_ms = ts
    return OPENED


@nb.njit(cache=True, nogil=True, inline="always")
def _add_turn(
    room: npt.NDArray[Any], used: int, run: Any, kind: int, ts: int, series: int, reading: int, version: int
) -> int:
    row = room[used]
    row.run = run
    row.kind, row.at_ms, row.series, row.reading, row.version = kind, ts, series, reading, version
    return used + 1


@nb.njit(cache=True, nogil=True)
def _fold(
    start: int,
    series: I32,
    ts: I64,
    value: F64,
    local_offset_ms: I32,
    version: I32,
    effects: U8,
    score: F64,
    expected: F64,
    lower: F64,
    upper: F64,
    verdict: U8,
    reason: U8,
    label: np.uint64,
    bit: np.uint32,
    runs: npt.NDArray[Any],
    series_rows: npt.NDArray[Any],
    versions: npt.NDArray[Any],
    total: npt.NDArray[np.uint64],
    room: npt.NDArray[Any],
) -> tuple[int, int]:
    used = 0
    done: Any = len(ts)
    value_bits, score_bits = value.view(np.uint64), score.view(np.uint64)
    total_low, total_high = total[0], total[1]
    for i in range(np.uint64(start), np.uint64(len(ts))):  # unsigned: no look at negative indices
        if used == len(room):
            done = np.int64(i)
            break
        s: Any = np.uint64(series[i])
        t = ts[i]
        item = series_rows[s]
        low, high = verdict_row(
            item.key_low, item.key_high, t, value_bits[i], label | np.uint64(verdict[i]), score_bits[i]
        )
        item.scored_low, item.scored_high = add_128(item.scored_low, item.scored_high, low, high)
        total_low, total_high = add_128(total_low, total_high, low, high)
        abnormal = verdict[i] == _ABNORMAL
        if item.running & bit == 0:
            if not abnormal:
                continue
            _start_run(runs[s], t)
            item.running |= bit
        run = runs[s]
        run.rows_low, run.rows_high = add_128(run.rows_low, run.rows_high, low, high)
        rules = versions[version[i]]
        if abnormal:
            grew = _take_abnormal(
                run, t, value[i], local_offset_ms[i], score[i], expected[i], lower[i], upper[i], reason[i]
            )
            silenced = len(effects) > 0 and effects[i] & NO_ALERT != 0
            turn = _after_abnormal(run, rules, t, grew, silenced)
            if turn >= 0:
                used = _add_turn(room, used, run, turn, t, s, i, version[i])
        elif verdict[i] != _NOT_READY:
            run.calm += 1
            if t - run.last_abnormal_ms >= rules.close_after_ms and run.calm >= rules.close_readings:
                if run.phase >= OPEN:
                    used = _add_turn(room, used, run, CLOSED, t, s, i, version[i])
                run.phase = IDLE
                item.running &= ~bit
    total[0], total[1] = total_low, total_high
    return done, used
