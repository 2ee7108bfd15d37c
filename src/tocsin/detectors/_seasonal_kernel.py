"""The compiled form of `seasonal`: one pass over the readings, three cache lines of hot state each.

docs/explanation/seasonal.md gives the definition; `_seasonal_reference` is the same in plain Python.
"""

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
from tocsin.thresholds import EXCESS_START, KNEE_START, next_excess, next_knee, rarity, strangeness

HOUR_MS: Final = 3_600_000
WEEKDAYS: Final = 7
CELLS: Final = 24 * WEEKDAYS

HOT: Final = np.dtype(
    [
        # touched by every reading: three cache lines
        ("hour_end_ms", np.int64),  # first moment of the next local hour
        ("centre", np.float64),  # what the hour of week, or else the hour of day, expects now
        ("spread", np.float64),  # σ around it
        ("limit", np.float64),  # e-folds of rarity beyond which a reading is a sign
        ("smooth", np.float64),  # moving average of value − expected
        ("smooth_spread", np.float64),  # mean |smooth|
        ("scale", np.float64),  # mean |value − expected|, whatever the hour
        ("knee", np.float64),
        ("excess", np.float64),
        ("smooth_knee", np.float64),
        ("smooth_excess", np.float64),
        ("peak", np.float64),  # rarest of late, in limits; fades
        ("series_mean", np.float64),
        ("series_var", np.float64),
        ("last", np.float64),
        ("quantum", np.float64),  # smallest change seen
        ("pivot", np.float64),  # first value of the hour; its sums are taken from it
        ("sum", np.float64),
        ("squares", np.float64),
        ("seen", np.int32),  # readings learnt
        ("visit", np.int32),  # readings in the sums
        ("offset_ms", np.int32),
        ("source", np.uint8),
        *WATCH_HOT_FIELDS,
        ("marks", np.uint8),  # bits: STRAYING, UNLEARNT
        # touched once an hour, or while something is abnormal
        *BASE_HOT_FIELDS,
        ("held_limit", np.float64),  # z that was abnormal when the run of abnormal readings began
        ("smooth_held_limit", np.float64),
        ("day_mean", np.float64),  # of this hour on all days
        ("week_mean", np.float64),  # of this hour of the week
        ("day_level", np.float64),  # how far the series lies beside its hours of day now
        ("week_level", np.float64),  # the same for its hours of week
        ("pace", np.float64),  # readings an hour
        ("run", np.int32),  # abnormal readings of the run
        ("cell", np.uint8),
        ("has_day", np.uint8),
        ("has_week", np.uint8),
        ("hours", np.uint8),  # learnt by usual_scale, up to a hundred
        ("usual_scale", np.float64),  # what scale has been at the ends of the last hundred hours or so
    ]
)
CELL: Final = np.dtype([("mean", np.float64), ("deviation", np.float32), ("visits", np.uint8)])
SETTINGS: Final = np.dtype(
    [
        *WATCH_SETTINGS_FIELDS,
        *PAUSE_SETTINGS_FIELDS,
        ("hold_ms", np.int64),
        ("ready_readings", np.int64),
        ("warm_visits", np.int64),
        ("memory", np.int64),
        ("memory_gain", np.float64),
        ("limit", np.float64),
        ("level_gain", np.float64),
        ("stray_limit", np.float64),
    ]
)

ROW_BYTES: Final = HOT.itemsize
TOUCHED_BYTES: Final = HOT.fields["before_ms"][1] if HOT.fields else 0
LINE_BYTES: Final = 64
AHEAD: Final = 12  # readings between asking for a row and using it

SERIES, HOUR_OF_DAY, HOUR_OF_WEEK = 0, 1, 2
RAW, SMOOTHED, STRAYED = 1, 2, 5
STRAYING: Final = 1  # in this hour every reading is abnormal: those before it strayed too far
UNLEARNT: Final = 2  # nothing was learnt from the newest reading
YOUNG: Final = 2  # added while no cell is warm
GAIN: Final = 2.0 / 11.0
START_READINGS: Final = 10  # the average starts as the mean of so many
VISITS_FULL: Final = 10
MAGNITUDE_MAX: Final = 1e120  # squares and their sums stay finite
DEVIATION_MAX: Final = 3e38  # of a float32
COUNT_MAX: Final = 1_000_000_000
VISITS_MAX: Final = 250  # of a cell, in one byte; beyond ten they only weigh cells against each other
RELATIVE_FLOOR: Final = 1e-2  # of the mean, while a series has never changed
SPREAD_MIN: Final = 1e-150
LASTING_EFOLDS: Final = 3.5  # what lasts must be rarer than a first sign
PACE_EFOLDS: Final = 0.5  # by which a doubled pace raises the limit
PACE_START: Final = 60.0
PACE_FADE: Final = 0.1
NEW_DAY_EFOLDS: Final = 8.0  # for an hour of week that was never seen
SMOOTH_SHARE: Final = 0.3  # of σ: averages spread at least so much
STALE_SHARE: Final = 0.1  # of a limit: what is left of a score that brings nothing new
PEAK_FADE: Final = 0.98
SCALE_GAIN: Final = 0.01
SCALE_READINGS: Final = 100  # by which the scale is known
SCALE_CLIP: Final = 3.0  # of σ: no residual counts more
USUAL_MEMORY_HOURS: Final = 100  # of the usual scale
USUAL_READY_HOURS: Final = 48  # two of each hour of day
USUAL_FREE_HOURS: Final = 24  # the first are learnt as they are
USUAL_CLIP: Final = 2.0  # of the usual scale: no later hour counts more
SMOOTH_SPREAD_GAIN: Final = 0.005
SMOOTH_SPREAD_READINGS: Final = 200


@nb.njit(cache=True, nogil=True)
def initialise(hot: Any, never_ms: int) -> None:
    """Rows of series that have seen nothing."""
    for i in range(len(hot)):
        row = hot[i]
        row.before_ms = row.last_abnormal_ms = row.hour_end_ms = never_ms
        row.knee = row.smooth_knee = KNEE_START
        row.excess = row.smooth_excess = EXCESS_START
        row.spread = 1.0


@nb.njit(
    cache=True, nogil=True, error_model="numpy"
)  # σ, knees, excesses and limits have floors: no divisor is 0
def score_rows(
    start: int,
    readings: Any,
    hot: Any,
    cells: Any,
    settings: Any,
    out: Any,
    scratch: Any,
    kept: Any,
    caught_row: Any,
    caught_since: Any,
    caught_cells: Any,
    begun: Any,
) -> tuple[Any, int, int]:
    """Score rows from `start`; stops when captures or starts are full. Returns next row and both counts.

    Nearly all readings are normal ones of ordinary rows. The loop within does with these what the part below
    it would do, and leaves all others to that. It stands here since handing arrays on would count references.
    """
    series, ts, value, offset, setting = readings
    scores, expected, lower, upper, verdicts, reasons = out
    caught = started = 0
    i, end = np.uint64(start), np.uint64(len(ts))  # unsigned: no look at negative indices
    rows_at = address_of(hot)
    while True:
        while i < end:
            fetch_row(rows_at + series[min(i + np.uint64(AHEAD), end - np.uint64(1))] * ROW_BYTES)
            t, row, rule = ts[i], hot[np.uint64(series[i])], settings[np.uint64(setting[i])]
            if t >= row.hour_end_ms or offset[i] != row.offset_ms or not ordinary(row, rule):
                break
            x = within(MAGNITUDE_MAX, value[i])
            measured, score, centre, width, verdict, why = weigh(row, rule, t, x)
            if verdict != 0:
                break
            scores[i], expected[i], lower[i], upper[i] = score, centre, centre - width, centre + width
            verdicts[i] = reasons[i] = 0
            learn_normal(row, rule, x, measured)
            i += np.uint64(1)
        if i == end or caught == len(caught_row) or started == len(begun):
            return np.int64(i), caught, started
        s, t, x = np.uint64(series[i]), ts[i], within(MAGNITUDE_MAX, value[i])
        row, rule = hot[s], settings[np.uint64(setting[i])]
        returned = returns(row, rule)
        moved = t >= row.hour_end_ms or offset[i] != row.offset_ms or (returned and row.visit == 0)
        if moved or returned:
            scratch[0] = hot[s]
        if returned:
            row.smooth = row.peak = 0.0
        if moved:
            change_hour(row, cells[s], rule, t, offset[i], x, kept)
        measured, score, centre, width, verdict, why = weigh(row, rule, t, x)
        scores[i], expected[i], lower[i], upper[i] = score, centre, centre - width, centre + width
        verdicts[i], reasons[i], strange = verdict, why, 0 < why < STRAYED
        if verdict == 1:
            if row.watched == 0:
                if not (moved or returned):
                    scratch[0] = hot[s]
                begin_watch(row, t, np.int64(s), scratch[0], begun[started])
                started += 1
            hold(row, strange)
        watched = verdict == 1 or row.watched != 0  # the reading that ends a watch belongs to it
        watch(row, rule, t, verdict)
        if moved and watched:
            caught_row[caught], caught_since[caught], caught_cells[caught] = i, row.before_ms, kept
            caught += 1
        taken = verdict != 1 or t - row.before_ms >= rule.hold_ms
        learn(row, rule, x, measured, strange, taken)
        i += np.uint64(1)


@nb.njit(cache=True, nogil=True, inline="always")
def within(most: float, value: float) -> float:
    """The value between −most and most, where it nearly always is: a jump that is foreseen costs no wait.

    Where a tiny limit makes `most` negative, that is the result.
    """
    if abs(value) <= most:
        return value
    return min(max(value, -most), most)


@nb.njit(cache=True, nogil=True, inline="always")
def ordinary(row: Any, rule: Any) -> bool:
    """Whether a row is past its beginnings, not watched, not straying, and neither was nor is paused."""
    if row.seen < SMOOTH_SPREAD_READINGS:
        return False
    if row.watched != 0 or row.marks != 0:
        return False
    learns: bool = rule.pause == 0
    return learns


@nb.njit(cache=True, nogil=True, inline="always")
def returns(row: Any, rule: Any) -> bool:
    """Whether a reading is learnt and the one before it was not."""
    again: bool = row.marks & UNLEARNT != 0 and rule.pause == 0
    return again


@nb.njit(cache=True, nogil=True, inline="always")
def learn(row: Any, rule: Any, x: float, measured: Any, strange: bool, taken: bool) -> None:
    """Keep what the next are judged by; outside of a pause learn, and where `taken` the value too."""
    if rule.pause != 0:
        _, _, _, _, row.smooth, _, share = measured
        if row.seen >= START_READINGS:
            row.peak = max(share, row.peak * PEAK_FADE)
        row.marks |= UNLEARNT
        return
    if row.marks & UNLEARNT != 0:
        row.marks &= STRAYING
    learn_quantum(row, x)
    learn_strangeness(row, measured, 1.0 / row.run if strange else 1.0)
    if taken:
        learn_value(row, rule, x)


@nb.njit(cache=True, nogil=True, inline="always")
def learn_normal(row: Any, rule: Any, x: float, measured: Any) -> None:
    """What `learn` does outside of pauses with a normal reading."""
    learn_quantum(row, x)
    learn_strangeness(row, measured, 1.0)
    learn_value(row, rule, x)


@nb.njit(cache=True, nogil=True)
def move_limit(hot: Any, series: int, before: float, after: float) -> None:
    """Move the limit of the hour that goes on; a run that goes on is held to it from here on."""
    row = hot[series]
    row.limit += after - before
    if row.watched != 0:
        efolds = row.limit + LASTING_EFOLDS
        row.held_limit = strangeness(efolds, row.knee, row.excess)
        row.smooth_held_limit = strangeness(efolds, row.smooth_knee, row.smooth_excess)


@nb.njit(cache=True, nogil=True)
def fetch_row(address: int) -> None:
    """Have the cache lines of a row on their way before it is needed."""
    for line in range(0, TOUCHED_BYTES, LINE_BYTES):
        prefetch(address + line)


@nb.njit(cache=True, nogil=True)
def change_hour(row: Any, cells: Any, rule: Any, ts: int, offset: int, x: float, kept: Any) -> None:
    """Close the hour that has ended and look up the cells of the one that begins.

    Of an hour that ends with readings that are not learnt, and has no other, nothing is learnt.
    """
    local = ts + offset
    hours = local // HOUR_MS
    cell = (hours % 24) * WEEKDAYS + (hours // 24 + 3) % WEEKDAYS  # 1970 began on a Thursday
    first = cell - cell % WEEKDAYS
    for j in range(WEEKDAYS):
        kept[j] = cells[first + j]
    if row.pace == 0.0 and row.visit == 0:
        row.series_mean = row.last = x
    learns = row.visit > 0 or row.marks & UNLEARNT == 0
    if row.visit > 0:
        close_hour(row, cells[row.cell], rule)
    row.marks &= UNLEARNT
    if row.source != SERIES and row.seen >= SCALE_READINGS:
        weigh_scale(row, rule, ts, learns)
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
    count = np.float64(row.visit)
    offset = row.sum / count
    mean = row.pivot + offset
    within = max(row.squares / count - offset * offset, 0.0)
    if row.has_day != 0:
        row.day_level += (mean - row.day_mean - row.day_level) * rule.level_gain
    if row.has_week != 0:
        row.week_level += (mean - row.week_mean - row.week_level) * rule.level_gain
    row.pace = max(count, row.pace + (count - row.pace) * PACE_FADE)
    visits: int = min(int(cell.visits) + 1, VISITS_MAX)
    gain = 1.0 / visits if visits <= VISITS_FULL else GAIN
    step = mean - cell.mean
    deviation = np.float64(cell.deviation)
    between = gain * (step * step)
    variance = (1.0 - gain) * (deviation * deviation + between) + gain * within
    cell.mean += gain * step
    cell.deviation = min(np.sqrt(variance), DEVIATION_MAX)
    cell.visits = visits


@nb.njit(cache=True, nogil=True)
def weigh_scale(row: Any, rule: Any, ts: int, learns: bool) -> None:
    """Judge the scale by what it usually is at the end of an hour, then let that learn from it."""
    usual = usual_distance(row)
    if row.hours >= USUAL_READY_HOURS and row.scale > rule.stray_limit * usual:
        row.marks |= STRAYING
    if not learns:
        return
    distance = row.scale
    held_out = row.watched == 0 or ts - row.before_ms < rule.hold_ms
    if row.hours >= USUAL_FREE_HOURS and held_out:
        distance = min(distance, USUAL_CLIP * usual)
    hours = int(row.hours)
    row.usual_scale += (distance - row.usual_scale) * (1.0 / min(hours + 1, USUAL_MEMORY_HOURS))
    row.hours = min(hours + 1, USUAL_MEMORY_HOURS)


@nb.njit(cache=True, nogil=True, inline="always")
def usual_distance(row: Any) -> float:
    """The usual scale; half the smallest change is always usual."""
    distance: float = max(row.usual_scale, 0.5 * row.quantum, SPREAD_MIN)
    return distance


@nb.njit(cache=True, nogil=True)
def doublings(pace: float) -> float:
    """The logarithm of base 2 of a pace of at least 1, linear between powers of 2."""
    whole = 0.0
    while pace >= 2.0:
        pace *= 0.5
        whole += 1.0
    return whole + (pace - 1.0)


@nb.njit(cache=True, nogil=True)
def look_up(row: Any, cells: Any, cell: int, rule: Any) -> None:
    """Expect what the hour of week says if it is warm, else the hour of day, else the series."""
    first = cell - cell % WEEKDAYS
    visits = 0
    mean = 0.0
    for j in range(first, first + WEEKDAYS):
        visits += int(cells[j].visits)
        mean += cells[j].mean * cells[j].visits
    row.has_day = 1 if visits > 0 else 0
    row.has_week = 1 if cells[cell].visits > 0 else 0
    row.day_mean = mean / visits if visits > 0 else 0.0
    row.week_mean = cells[cell].mean
    row.limit = rule.limit + PACE_EFOLDS * doublings(row.pace if row.pace > 0.0 else PACE_START)
    row.source = SERIES
    if cells[cell].visits >= rule.warm_visits:
        row.source = HOUR_OF_WEEK
        row.centre = row.week_mean + row.week_level
        row.spread = max(np.float64(cells[cell].deviation), floor_of(row))
    elif visits >= rule.warm_visits:
        row.source = HOUR_OF_DAY
        row.centre = row.day_mean + row.day_level
        row.spread = max(pooled_deviation(cells, first, row.day_mean, visits), floor_of(row))
        if row.has_week == 0:
            row.limit += NEW_DAY_EFOLDS


@nb.njit(cache=True, nogil=True)
def pooled_deviation(cells: Any, first: int, mean: float, visits: int) -> float:
    """The deviation of an hour of day: within and between its seven cells, weighted by visits."""
    variance = 0.0
    for j in range(first, first + WEEKDAYS):
        step = cells[j].mean - mean
        own = np.float64(cells[j].deviation)
        variance += (step * step + own * own) * cells[j].visits
    deviation: float = np.sqrt(variance / visits)
    return deviation


@nb.njit(cache=True, nogil=True)
def floor_of(row: Any) -> float:
    """The least σ: half the smallest change and the usual residual; before any, a share of the mean."""
    least: float = RELATIVE_FLOOR * abs(row.series_mean)
    if row.quantum > 0.0:
        least = max(0.5 * row.quantum, row.scale)
    return max(least, SPREAD_MIN)


@nb.njit(cache=True, nogil=True, inline="always")
def expectation(row: Any) -> tuple[float, float]:
    """The value expected now and σ around it."""
    if row.source == SERIES:
        return row.series_mean, max(np.sqrt(row.series_var), floor_of(row))
    return row.centre, row.spread


@nb.njit(cache=True, nogil=True, inline="always")
def weigh(row: Any, rule: Any, ts: int, x: float) -> tuple[Any, float, float, float, int, int]:
    """What is to be learnt of a reading; score, expectation, half width of the band, verdict, and reason."""
    centre, spread = expectation(row)
    residual = x - centre
    smooth, unit, z, smooth_z, raw, averaged = strangeness_of(row, residual, spread)
    share = max(raw, averaged) / row.limit
    measured = row.seen, residual, spread, z, smooth, smooth_z, share
    if row.seen < rule.ready_readings:
        return measured, np.nan, np.nan, np.nan, 2, 0
    score, width, why = judge(row, rule, ts, z, smooth_z, share, spread, unit, averaged > raw)
    return measured, score, centre, width, 1 if why != 0 else 0, why


@nb.njit(cache=True, nogil=True, inline="always")
def strangeness_of(
    row: Any, residual: float, spread: float
) -> tuple[float, float, float, float, float, float]:
    """The average with this residual in it and its unit, then z and rarity of the raw and the smoothed.

    In the average a monster counts no more than the limit.
    """
    most = strangeness(row.limit, row.knee, row.excess) * spread
    gain = 1.0 / (row.seen + 1) if row.seen < START_READINGS else GAIN
    smooth = row.smooth + (within(most, residual) - row.smooth) * gain
    unit = max(row.smooth_spread, SMOOTH_SHARE * spread)
    z, smooth_z = abs(residual) / spread, abs(smooth) / unit
    raw = rarity(z, row.knee, row.excess)
    return smooth, unit, z, smooth_z, raw, rarity(smooth_z, row.smooth_knee, row.smooth_excess)


@nb.njit(cache=True, nogil=True, inline="always")
def judge(
    row: Any,
    rule: Any,
    ts: int,
    z: float,
    smooth_z: float,
    share: float,
    spread: float,
    unit: float,
    by_average: bool,
) -> tuple[float, float, int]:
    """Score, half width of the band, and the reason for which the reading is abnormal (0 = it is not).

    It is at a sign (beyond the limit, and rarer than what was seen of late), as long as it is beyond the
    higher limit for what lasts, as that was when the run began or as it is now, and in an hour before
    which the readings strayed.
    """
    sign = share > 1.0 and share > row.peak
    efolds = row.limit if sign else row.limit + LASTING_EFOLDS
    limit = strangeness(efolds, row.knee, row.excess)
    smooth_limit = strangeness(efolds, row.smooth_knee, row.smooth_excess)
    if not sign and row.watched != 0 and ts - row.before_ms < rule.hold_ms:
        limit = min(limit, row.held_limit)
        smooth_limit = min(smooth_limit, row.smooth_held_limit)
    smooth_width, raw_width = smooth_limit * unit, limit * spread
    width = smooth_width if by_average else raw_width  # a choice of two numbers is no branch
    if sign or z > limit or smooth_z > smooth_limit:
        why = (SMOOTHED if by_average else RAW) + (YOUNG if row.source == SERIES else 0)
        return share + STALE_SHARE if sign else lasting_score(share), width, why
    if row.marks & STRAYING != 0:
        width = rule.stray_limit * usual_distance(row)
        return lasting_score(row.scale / width), width, STRAYED
    return min(share, 1.0), width, 0


@nb.njit(cache=True, nogil=True, inline="always")
def lasting_score(share: float) -> float:
    """Just above 1, the more so the larger the share of its limit."""
    return 1.0 + STALE_SHARE * (share / (1.0 + share))


@nb.njit(cache=True, nogil=True)
def hold(row: Any, strange: bool) -> None:
    """Count a strange reading into its run; the first one fixes the limits that the run is held to."""
    if row.watched == 0:
        efolds = row.limit + LASTING_EFOLDS
        row.held_limit = strangeness(efolds, row.knee, row.excess)
        row.smooth_held_limit = strangeness(efolds, row.smooth_knee, row.smooth_excess)
        row.run = 0
    if strange:
        row.run = min(row.run + 1, COUNT_MAX)


@nb.njit(cache=True, nogil=True, inline="always")
def learn_strangeness(row: Any, measured: Any, weight: float) -> None:
    """Let scales and tails learn how strange the reading was; the n-th of an abnormal run counts 1/n."""
    seen, residual, spread, z, smooth, smooth_z, share = measured
    row.smooth = smooth
    gain, scale_gain = SMOOTH_SPREAD_GAIN, SCALE_GAIN
    if seen < SMOOTH_SPREAD_READINGS:
        gain = 1.0 / (seen + 1)
        scale_gain = max(gain, SCALE_GAIN)
    row.smooth_spread += (min(abs(smooth), SCALE_CLIP * spread) - row.smooth_spread) * gain
    row.scale += (min(abs(residual), SCALE_CLIP * spread) - row.scale) * (weight * scale_gain)
    if seen < START_READINGS:
        return
    row.peak = max(share, row.peak * PEAK_FADE)
    if z > row.knee:
        row.excess = next_excess(z, row.knee, row.excess, weight)
    row.knee = next_knee(z, row.knee, weight)
    if smooth_z > row.smooth_knee:
        row.smooth_excess = next_excess(smooth_z, row.smooth_knee, row.smooth_excess, weight)
    row.smooth_knee = next_knee(smooth_z, row.smooth_knee, weight)


@nb.njit(cache=True, nogil=True, inline="always")
def learn_quantum(row: Any, x: float) -> None:
    """Keep the smallest change from one reading to the next."""
    change = abs(x - row.last)
    if (change < row.quantum or row.quantum == 0.0) and change > 0.0:
        row.quantum = change
    row.last = x


@nb.njit(cache=True, nogil=True, inline="always")
def learn_value(row: Any, rule: Any, x: float) -> None:
    """Learn the value itself: into the series as a whole and into the hour's sums."""
    row.seen = min(row.seen + 1, COUNT_MAX)
    gain = 1.0 / row.seen if row.seen < rule.memory else rule.memory_gain
    step = x - row.series_mean
    row.series_mean += gain * step
    row.series_var = (1.0 - gain) * (row.series_var + gain * (step * step))
    shifted = x - row.pivot
    row.visit += 1
    row.sum += shifted
    row.squares += shifted * shifted
