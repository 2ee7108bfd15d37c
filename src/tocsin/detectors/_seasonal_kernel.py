"""The compiled form of `seasonal`: one pass over the readings, a few cache lines of hot state each."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.detectors._watch import WATCH_HOT_FIELDS, WATCH_SETTINGS_FIELDS, watch
from tocsin.detectors.abstract import BASE_HOT_FIELDS
from tocsin.thresholds import next_excess, next_knee, rarity, strangeness

HOUR_MS: Final = 3_600_000
WEEKDAYS: Final = 7
CELLS: Final = 24 * WEEKDAYS

HOT: Final = np.dtype(
    [
        *BASE_HOT_FIELDS,
        ("hour_end_ms", np.int64),  # first moment of the next local hour
        ("centre", np.float64),  # what the cell (or what it borrows) expects
        ("spread", np.float64),  # σ around it
        ("day_mean", np.float64),  # of this hour on all days
        ("week_mean", np.float64),  # of this hour of the week
        ("day_level", np.float64),  # how far the series lies beside its hours of day now
        ("week_level", np.float64),  # the same for its hours of week
        ("smooth", np.float64),  # moving average of value − expected
        ("smooth_spread", np.float64),  # mean |smooth|
        ("series_mean", np.float64),
        ("series_var", np.float64),
        ("pivot", np.float64),  # first value of the hour; sums are taken from it
        ("sum", np.float64),
        ("squares", np.float64),
        ("knee", np.float64),
        ("excess", np.float64),
        ("smooth_knee", np.float64),
        ("smooth_excess", np.float64),
        ("scale", np.float64),  # mean |value − expected|, whatever the hour
        ("held_limit", np.float64),  # z that was abnormal when the run of abnormal readings began
        ("smooth_held_limit", np.float64),
        ("peak", np.float64),  # strangest of late, in limits; fades
        ("pace", np.float64),  # readings an hour
        ("limit", np.float64),  # e-folds of rarity beyond which a reading is abnormal
        ("last", np.float64),
        ("quantum", np.float64),  # smallest change seen
        ("held_since_ms", np.int64),  # start of the run of abnormal readings kept out of learning
        ("seen", np.int32),
        ("visit", np.int32),  # readings in the sums
        ("offset_ms", np.int32),
        ("cell", np.int16),
        ("source", np.uint8),
        *WATCH_HOT_FIELDS,
        ("run", np.int32),  # abnormal readings of the run
        ("has_day", np.uint8),
        ("has_week", np.uint8),
        ("spare", np.uint8, 1),
    ]
)
CELL: Final = np.dtype([("mean", np.float64), ("deviation", np.float32), ("visits", np.int32)])
SETTINGS: Final = np.dtype(
    [
        *WATCH_SETTINGS_FIELDS,
        ("hold_ms", np.int64),
        ("limit", np.float64),
        ("ready_readings", np.float64),
        ("warm_visits", np.float64),
        ("memory", np.float64),
        ("level_gain", np.float64),
    ]
)

SERIES, HOUR_OF_DAY, HOUR_OF_WEEK = 0, 1, 2
RAW, SMOOTHED = 1, 2
GAIN: Final = 2.0 / 11.0
VISITS_FULL: Final = 10
MAGNITUDE_MAX: Final = 1e120  # squares and their sums stay finite
DEVIATION_MAX: Final = 3e38  # of a float32
RELATIVE_FLOOR: Final = 1e-2  # of the mean, while a series has never changed
LASTING_EFOLDS: Final = 3.5
SMOOTH_SHARE: Final = 0.3
STALE_SHARE: Final = 0.5
PEAK_FADE: Final = 0.98
PACE_EFOLDS: Final = 0.5
NEW_DAY_EFOLDS: Final = 8.0
SCALE_SHARE: Final = 1.0
SCALE_GAIN: Final = 0.01
SCALE_CLIP: Final = 10.0
SPREAD_MIN: Final = 1e-150


@nb.njit(cache=True, nogil=True)
def score_rows(
    start: int,
    readings: Any,
    hot: Any,
    before: Any,
    cells: Any,
    settings: Any,
    out: Any,
    scratch: Any,
    kept: Any,
    caught_row: Any,
    caught_cells: Any,
    begun: Any,
) -> tuple[int, int, int]:
    """Score rows from `start`; stops when captures or starts are full. Returns next row and both counts."""
    series, ts, value, offset, setting = readings
    caught = started = 0
    for i in range(start, len(ts)):
        if caught == len(caught_row) or started == len(begun):
            return i, caught, started
        s = series[i]
        row = hot[s]
        rule = settings[setting[i]]
        x = min(max(value[i], -MAGNITUDE_MAX), MAGNITUDE_MAX)
        moved = ts[i] >= row.hour_end_ms or offset[i] != row.offset_ms
        if moved:
            scratch[0] = hot[s]
            change_hour(row, cells[s], rule, ts[i], offset[i], x, kept)
        abnormal = judge(i, row, rule, ts[i], x, out)
        if abnormal and row.watched == 0:
            if not moved:
                scratch[0] = hot[s]
            before[s] = scratch[0]
            begun[started].series, begun[started].ts = s, ts[i]
            begun[started].before = scratch[0]
            started += 1
            row.before_ms = ts[i]
        if abnormal:
            hold(row, rule, ts[i])
        watch(row, rule, ts[i], out[4][i])
        if moved and row.watched != 0:
            caught_row[caught] = i
            caught_cells[caught] = kept
            caught += 1
        learn(row, rule, ts[i], x, abnormal)
    return len(ts), caught, started


@nb.njit(cache=True, nogil=True)
def change_hour(row: Any, cells: Any, rule: Any, ts: int, offset: int, x: float, kept: Any) -> None:
    """Close the hour that has ended and look up the cells of the one that begins."""
    local = ts + offset
    hours = local // HOUR_MS
    cell = (hours % 24) * WEEKDAYS + (hours // 24 + 3) % 7
    first = cell - cell % WEEKDAYS
    for j in range(WEEKDAYS):
        kept[j] = cells[first + j]
    if row.visit > 0:
        close_hour(row, cells[row.cell], rule)
    elif row.limit == 0.0:
        row.limit = rule.limit + PACE_EFOLDS * doublings(60.0)
    row.hour_end_ms = ts - local % HOUR_MS + HOUR_MS
    row.offset_ms = offset
    row.cell = cell
    row.visit = 0
    row.pivot = x
    row.sum = 0.0
    row.squares = 0.0
    look_up(row, cells, cell, rule)


@nb.njit(cache=True, nogil=True)
def close_hour(row: Any, cell: Any, rule: Any) -> None:
    """Fold the visit into its cell: deviation² is the moving average of within² + between²."""
    offset = row.sum / row.visit
    mean = row.pivot + offset
    within = max(row.squares / row.visit - offset * offset, 0.0)
    if row.has_day != 0:
        row.day_level += (mean - row.day_mean - row.day_level) * rule.level_gain
    if row.has_week != 0:
        row.week_level += (mean - row.week_mean - row.week_level) * rule.level_gain
    count = np.float64(row.visit)
    row.pace = max(count, row.pace + (count - row.pace) * 0.1)
    visits = min(cell.visits + 1, 1_000_000)
    gain = 1.0 / visits if visits <= VISITS_FULL else GAIN
    step = mean - cell.mean
    deviation = np.float64(cell.deviation)
    variance = (1.0 - gain) * (deviation * deviation + gain * (step * step)) + gain * within
    cell.mean += gain * step
    cell.deviation = min(np.sqrt(variance), DEVIATION_MAX)
    cell.visits = visits


@nb.njit(cache=True, nogil=True)
def doublings(pace: float) -> float:
    """The logarithm of base 2, linear between powers of 2."""
    whole = 0.0
    while pace >= 2.0:
        pace *= 0.5
        whole += 1.0
    return whole + (pace - 1.0)


@nb.njit(cache=True, nogil=True)
def look_up(row: Any, cells: Any, cell: int, rule: Any) -> None:
    """Hour-of-week if warm, else hour-of-day, else the series; sets centre, spread and source."""
    first = cell - cell % WEEKDAYS
    visits = 0
    mean = 0.0
    for j in range(first, first + WEEKDAYS):
        visits += cells[j].visits
        mean += cells[j].mean * cells[j].visits
    row.has_day = visits > 0
    row.has_week = cells[cell].visits > 0
    row.week_mean = cells[cell].mean
    row.source = SERIES
    if visits > 0:
        mean /= visits
        row.day_mean = mean
    if row.pace > 0.0:
        row.limit = rule.limit + PACE_EFOLDS * doublings(row.pace)
    if cells[cell].visits >= rule.warm_visits:
        row.source = HOUR_OF_WEEK
        row.centre = row.week_mean + row.week_level
        row.spread = np.float64(cells[cell].deviation)
    elif visits >= rule.warm_visits:
        variance = 0.0
        for j in range(first, first + WEEKDAYS):
            step = cells[j].mean - mean
            deviation = np.float64(cells[j].deviation)
            variance += (step * step + deviation * deviation) * cells[j].visits
        row.source = HOUR_OF_DAY
        if row.has_week == 0:
            row.limit += NEW_DAY_EFOLDS
        row.centre = mean + row.day_level
        row.spread = np.sqrt(variance / visits)


@nb.njit(cache=True, nogil=True)
def judge(i: int, row: Any, rule: Any, ts: int, x: float, out: Any) -> bool:
    """Write the scores of reading i; changes nothing in the row but what it expects now."""
    scores, expected, lower, upper, verdict, reason = out
    if row.seen < rule.ready_readings:
        scores[i] = np.nan
        expected[i] = np.nan
        lower[i] = np.nan
        upper[i] = np.nan
        verdict[i] = 2
        reason[i] = 0
        return False
    centre, spread = row.centre, row.spread
    if row.source == SERIES:
        centre = row.series_mean
        spread = np.sqrt(row.series_var)
    spread = max(spread, floor_of(row))
    residual = x - centre
    z = abs(residual) / spread
    smooth_z = abs(row.smooth + (residual - row.smooth) * GAIN) / max(row.smooth_spread, SMOOTH_SHARE * spread)
    raw = rarity(z, row.knee, row.excess)
    smoothed = rarity(smooth_z, row.smooth_knee, row.smooth_excess)
    share = max(raw, smoothed) / row.limit
    sign = share > 1.0 and share > row.peak
    efolds = row.limit if sign else row.limit + LASTING_EFOLDS
    limit = strangeness(efolds, row.knee, row.excess)
    smooth_limit = strangeness(efolds, row.smooth_knee, row.smooth_excess)
    if not sign and row.watched != 0 and ts - row.held_since_ms < rule.hold_ms:
        limit = min(limit, row.held_limit)
        smooth_limit = min(smooth_limit, row.smooth_held_limit)
    abnormal = sign or z > limit or smooth_z > smooth_limit
    reach = smooth_limit * max(row.smooth_spread, SMOOTH_SHARE * spread) if smoothed > raw else limit * spread
    if sign:
        scores[i] = share + 0.1
    elif abnormal:
        scores[i] = 1.0 + 0.1 * share / (1.0 + share)
    else:
        scores[i] = min(share, 1.0)
    expected[i] = centre
    lower[i] = centre - reach
    upper[i] = centre + reach
    verdict[i] = 1 if abnormal else 0
    reason[i] = 0 if not abnormal else (SMOOTHED if smoothed > raw else RAW)
    return abnormal


@nb.njit(cache=True, nogil=True)
def floor_of(row: Any) -> float:
    """The least σ: half the smallest change seen; before any, a share of the mean."""
    if row.quantum > 0.0:
        return max(0.5 * row.quantum, SCALE_SHARE * row.scale, SPREAD_MIN)
    return max(RELATIVE_FLOOR * abs(row.series_mean), SPREAD_MIN)


@nb.njit(cache=True, nogil=True)
def hold(row: Any, rule: Any, ts: int) -> None:
    """Count an abnormal reading into its run; the first one fixes the limits that the run is held to."""
    if row.watched == 0:
        row.held_since_ms = ts
        row.held_limit = strangeness(row.limit + LASTING_EFOLDS, row.knee, row.excess)
        row.smooth_held_limit = strangeness(row.limit + LASTING_EFOLDS, row.smooth_knee, row.smooth_excess)
        row.run = 0
    row.run = min(row.run + 1, 1_000_000_000)


@nb.njit(cache=True, nogil=True)
def learn(row: Any, rule: Any, ts: int, x: float, abnormal: bool) -> None:
    """Learn from a reading just judged; abnormal ones only after `hold_ms` of them."""
    if row.seen == 0:
        row.series_mean = x
        row.last = x
    change = abs(x - row.last)
    if change > 0.0 and (row.quantum == 0.0 or change < row.quantum):
        row.quantum = change
    row.last = x
    learn_tails(row, rule, x, 1.0 / row.run if abnormal else 1.0)
    if abnormal and ts - row.held_since_ms < rule.hold_ms:
        return
    row.seen = min(row.seen + 1, 1_000_000_000)
    gain = 1.0 / row.seen if row.seen < rule.memory else 1.0 / rule.memory
    step = x - row.series_mean
    row.series_mean += gain * step
    row.series_var = (1.0 - gain) * (row.series_var + gain * (step * step))
    shifted = x - row.pivot
    row.visit += 1
    row.sum += shifted
    row.squares += shifted * shifted


@nb.njit(cache=True, nogil=True)
def learn_tails(row: Any, rule: Any, x: float, weight: float) -> None:
    """Smooth the residual and let both tails learn how strange it was."""
    centre, spread = row.centre, row.spread
    if row.source == SERIES:
        centre = row.series_mean
        spread = np.sqrt(row.series_var)
    spread = max(spread, floor_of(row))
    residual = x - centre
    gain = 1.0 / (row.seen + 1) if row.seen < 10 else GAIN
    reach = strangeness(row.limit, row.knee, row.excess) * spread
    row.smooth += (min(max(residual, -reach), reach) - row.smooth) * gain
    size = min(abs(row.smooth), 10.0 * spread)
    smooth_gain = 1.0 / (row.seen + 1) if row.seen < 200 else 0.005
    row.smooth_spread += (size - row.smooth_spread) * smooth_gain
    size = min(abs(residual), SCALE_CLIP * spread)
    row.scale += (size - row.scale) * (weight * max(SCALE_GAIN, 1.0 / (row.seen + 1)))
    if row.seen < 10:
        return
    z = abs(residual) / spread
    smooth_z = abs(row.smooth) / max(row.smooth_spread, SMOOTH_SHARE * spread)
    strange = max(
        rarity(z, row.knee, row.excess), rarity(smooth_z, row.smooth_knee, row.smooth_excess)
    ) / row.limit
    row.peak = max(strange, row.peak * PEAK_FADE)
    if z > row.knee:
        row.excess = next_excess(z, row.knee, row.excess, weight)
    row.knee = next_knee(z, row.knee, weight)
    if smooth_z > row.smooth_knee:
        row.smooth_excess = next_excess(smooth_z, row.smooth_knee, row.smooth_excess, weight)
    row.smooth_knee = next_knee(smooth_z, row.smooth_knee, weight)
