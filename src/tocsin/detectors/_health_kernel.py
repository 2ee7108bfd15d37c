"""The compiled form of `health`: one pass over the readings."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.detectors._watch import (
    PAUSE_SETTINGS_FIELDS,
    WATCH_HOT_FIELDS,
    WATCH_SETTINGS_FIELDS,
    begin_watch,
    watch,
)
from tocsin.detectors.abstract import BASE_HOT_FIELDS
from tocsin.intrinsics import address_of, prefetch

DAY_MS: Final = 86_400_000

HOT: Final = np.dtype(
    [
        *BASE_HOT_FIELDS,
        ("first_ms", np.int64),
        ("day_end_ms", np.int64),
        ("run_start_ms", np.int64),  # first reading of the value that repeats now
        ("longest_ms", np.float64),  # longest run of one value, fading by the day
        ("longest", np.float64),  # the same in readings
        ("last", np.float64),
        ("pivot", np.float64),  # first value of the day; sums are taken from it
        ("sum", np.float64),
        ("squares", np.float64),
        ("level", np.float64),  # moving average of daily means
        ("level_spread", np.float64),  # mean distance of daily means from the level before them
        ("noise", np.float64),  # deviation within a day
        ("shift", np.float64),  # score of yesterday's mean, 0 = none
        ("shift_level", np.float64),  # the level and the reach that it was judged by
        ("shift_reach", np.float64),
        ("day_readings_most", np.float64),
        ("run", np.int32),
        ("changes", np.int32),
        ("day_readings", np.int32),
        ("days", np.int32),
        *WATCH_HOT_FIELDS,
        ("unlearnt", np.uint8),  # the run of one value has readings from which nothing was learnt
        ("spare", np.uint8, 5),
    ]
)
SETTINGS: Final = np.dtype(
    [
        *WATCH_SETTINGS_FIELDS,
        *PAUSE_SETTINGS_FIELDS,
        ("lower", np.float64),
        ("upper", np.float64),
        ("span", np.float64),
        ("ranged", np.int64),
        ("ready_ms", np.int64),
        ("stuck_ratio", np.float64),
        ("stuck_readings", np.float64),
        ("stuck_ms", np.float64),
        ("changes", np.float64),
        ("shift_limit", np.float64),
        ("shift_days", np.float64),
    ]
)

ROW_BYTES: Final = HOT.itemsize
AHEAD: Final = 12  # readings between asking for a row and using it
STUCK, OUT_OF_RANGE, LEVEL_SHIFT = 1, 2, 3
MAGNITUDE_MAX: Final = 1e120
GAIN: Final = 2.0 / 11.0
COUNT_MAX: Final = 1_000_000_000
STALE_SHARE: Final = 0.1  # of a limit: what is left of a score that brings nothing new
SHARE_MAX: Final = 1e6
FADE_A_DAY: Final = 0.98
NOISE_SHARE: Final = 0.1  # of the deviation within a day: daily means vary by at least that
STEP_MAX: Final = 3.0  # spreads by which one day may move the level
SPREAD_MIN: Final = 1e-150


@nb.njit(cache=True, nogil=True)
def score_rows(
    start: int, readings: Any, hot: Any, settings: Any, out: Any, scratch: Any, begun: Any
) -> tuple[Any, int]:
    """Score every reading, then learn from it; stops when the starts are full. Next row and starts."""
    series, ts, value, offset, setting = readings
    scores, expected, lower, upper, verdicts, reasons = out
    started = 0
    rows_at, ahead = address_of(hot), min(start + AHEAD, len(ts))
    for i in range(np.uint64(start), np.uint64(len(ts))):  # unsigned: no look at negative indices
        if started == len(begun):
            return np.int64(i), started
        if ahead < len(ts):
            fetch_row(rows_at + series[np.uint64(ahead)] * ROW_BYTES)
            ahead += 1
        s, t = np.uint64(series[i]), ts[i]
        row = hot[s]
        rule = settings[np.uint64(setting[i])]
        x = min(max(value[i], -MAGNITUDE_MAX), MAGNITUDE_MAX)
        returns = row.unlearnt != 0 and rule.pause == 0
        moved = t >= row.day_end_ms or (returns and row.day_readings == 0)
        if moved:
            scratch[0] = hot[s]
            change_day(row, rule, t, offset[i], x)
        share, why = judge(row, rule, t, value[i], x)
        abnormal = share > 1.0
        verdict = 1 if abnormal else (0 if share >= 0.0 else 2)
        scores[i] = 1.0 + STALE_SHARE * (share / (1.0 + share)) if abnormal and row.watched != 0 else share
        expected[i] = row.shift_level if why == LEVEL_SHIFT else np.nan
        lower[i], upper[i] = band(row, rule, why)
        verdicts[i] = verdict
        reasons[i] = why if abnormal else 0
        if abnormal and row.watched == 0:
            if not moved:
                scratch[0] = hot[s]
            begin_watch(row, t, np.int64(s), scratch[0], begun[started])
            started += 1
        watch(row, rule, t, verdict)
        learn(row, rule, t, x)
    return len(ts), started


@nb.njit(cache=True, nogil=True)
def fetch_row(address: int) -> None:
    """Have the cache lines of a row on their way before it is needed."""
    for line in range(0, ROW_BYTES, 64):
        prefetch(address + line)


@nb.njit(cache=True, nogil=True)
def change_day(row: Any, rule: Any, ts: int, offset: int, x: float) -> None:
    """Close the local day that has ended, if there was one, and begin the next."""
    if row.day_readings > 0:
        close_day(row, rule)
    elif ts >= row.day_end_ms:
        row.shift = 0.0  # of a day from which nothing was learnt no mean is known
    if row.day_readings == 0 and row.day_readings_most == 0.0:  # nothing is known at all
        row.first_ms = ts
        row.run_start_ms = ts
        row.last = x
        row.run = 0
        row.unlearnt = 0
    row.day_end_ms = ts - (ts + offset) % DAY_MS + DAY_MS
    row.day_readings = 0
    row.pivot = x
    row.sum = 0.0
    row.squares = 0.0


@nb.njit(cache=True, nogil=True)
def close_day(row: Any, rule: Any) -> None:
    """Judge the day's mean by the days before, then let the level follow it."""
    row.longest *= FADE_A_DAY
    row.longest_ms *= FADE_A_DAY
    row.shift = 0.0
    count = np.float64(row.day_readings)
    whole = 2.0 * count >= row.day_readings_most
    row.day_readings_most = max(count, row.day_readings_most * FADE_A_DAY)
    if not whole:
        return
    offset = row.sum / count
    mean = row.pivot + offset
    noise = np.sqrt(max(row.squares / count - offset * offset, 0.0))
    row.days = min(row.days + 1, 1_000_000)
    gain = max(1.0 / row.days, GAIN)
    row.noise += (noise - row.noise) * gain
    if row.days == 1:
        row.level = mean
        return
    spread = max(row.level_spread, NOISE_SHARE * row.noise, SPREAD_MIN)
    distance = abs(mean - row.level)
    if row.days > rule.shift_days:
        row.shift_level = row.level
        row.shift_reach = rule.shift_limit * spread
        row.shift = min(distance / row.shift_reach, SHARE_MAX)
        distance = min(distance, STEP_MAX * spread)
    row.level += gain * (distance if mean > row.level else -distance)
    gain = max(1.0 / (row.days - 1), GAIN)
    row.level_spread += (distance - row.level_spread) * gain


@nb.njit(cache=True, nogil=True)
def judge(row: Any, rule: Any, ts: int, value: float, x: float) -> tuple[float, int]:
    """How much of its limit the worst condition has used up (NaN = not ready), and which one it is."""
    if rule.ranged != 0:
        over = max(value - rule.upper, rule.lower - value)
        if over > 0.0:
            return 2.0 + min(over / rule.span, SHARE_MAX), OUT_OF_RANGE
    if ts - row.first_ms < rule.ready_ms:
        return (0.0 if rule.ranged != 0 else np.nan), 0
    share = 0.0
    if x == row.last and row.changes >= rule.changes:
        readings = max(rule.stuck_readings, rule.stuck_ratio * row.longest)
        lasting_ms = max(rule.stuck_ms, rule.stuck_ratio * row.longest_ms)
        share = min(row.run * (1.0 / readings), (ts - row.run_start_ms) * (1.0 / lasting_ms))
    if row.shift > share:
        return row.shift, LEVEL_SHIFT
    return share, STUCK


@nb.njit(cache=True, nogil=True)
def band(row: Any, rule: Any, why: int) -> tuple[float, float]:
    """The limits that a reading was judged by; a stuck value has none."""
    if why == OUT_OF_RANGE:
        return rule.lower, rule.upper
    if why == LEVEL_SHIFT:
        return row.shift_level - row.shift_reach, row.shift_level + row.shift_reach
    return np.nan, np.nan


@nb.njit(cache=True, nogil=True)
def learn(row: Any, rule: Any, ts: int, x: float) -> None:
    """Count the reading into its run and its day; another value ends the run.

    A run that ends within a pause, or has readings from one, is not learnt.
    """
    if x != row.last:
        if rule.pause == 0 and row.unlearnt == 0:
            row.longest = max(row.longest, np.float64(row.run))
            row.longest_ms = max(row.longest_ms, np.float64(ts - row.run_start_ms))
            row.changes = min(row.changes + 1, COUNT_MAX)
        row.run = 0
        row.run_start_ms = ts
        row.last = x
        row.unlearnt = 0
    row.run = min(row.run + 1, COUNT_MAX)
    if rule.pause != 0:
        row.unlearnt = 1
        return
    row.day_readings += 1
    shifted = x - row.pivot
    row.sum += shifted
    row.squares += shifted * shifted
