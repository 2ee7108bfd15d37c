"""Second step: what becomes of each reading, in order, and what its device's stamps tell.

Per series an older stamp is late, an equal one a duplicate or a conflict. Per device the step keeps the
newest stamp and the local offset, and notices silences, parameters that have gone missing and wrong
clocks. The readings that are to be scored are gathered on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS, Readings
from tocsin.events import F64, I32, I64, U8, EventBatch
from tocsin.model import Flag, Status
from tocsin.processing.hashing import add_128, raw_row
from tocsin.processing.lateness import LATE_MAX_MS
from tocsin.processing.maintenance import NO_EFFECTS, alerts_again_ms, learns_gap
from tocsin.processing.notices import (
    CHECK_EVERY_MS,
    NOTICE,
    advance_device,
    end_missing,
    end_silence,
    find_missing,
    good_clock,
    learn_interval,
    passed_limit,
    version_at,
    withdraw_silence,
    wrong_clock,
)
from tocsin.processing.resolving import Resolved
from tocsin.processing.state import TenantState

_NOTICES_FIRST: Final = 1024
_SCORED: Final = int(Status.SCORED)
_LATE: Final = int(Status.LATE)
_DUPLICATE: Final = int(Status.DUPLICATE)
_CONFLICT: Final = int(Status.CONFLICT)
_CLOCK: Final = int(Status.UNSCORED_CLOCK)
_QUARANTINED: Final = int(Status.UNSCORED_QUARANTINED)
_TOO_LATE: Final = len(Status)  # the tally beside those of the statuses
_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)
_LIVE: Final = int(Flag.LIVE)
_QUARANTINED_EVENT: Final = int(Flag.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The readings that are to be scored, with their rows among the batch's readings and events.

    `effects`: what maintenance windows do to each, in bits; empty where there is nothing for any of them.
    """

    readings: Readings
    row: I32
    event: I32
    version: I32
    effects: U8 = field(default_factory=lambda: NO_EFFECTS)

    @property
    def columns(self) -> tuple[I32, I64, F64, I32, I32, I32, I32, I32]:
        """What ordering fills: all columns but the effects, those of the readings first."""
        own = self.readings
        readings = (own.series, own.ts, own.value, own.local_offset_ms, own.setting)
        return (*readings, self.row, self.event, self.version)

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> Gathered:
        """Some of them; views where `rows` is a slice."""
        own = self.readings
        readings = Readings(
            own.series[rows], own.ts[rows], own.value[rows], own.local_offset_ms[rows], own.setting[rows]
        )
        effects = self.effects[rows] if len(self.effects) else self.effects
        return Gathered(readings, self.row[rows], self.event[rows], self.version[rows], effects)


@dataclass(frozen=True, slots=True)
class Ordered:
    """`status` per reading and how many readings have each; notices in order; what is to be scored."""

    status: U8
    by_status: I64
    too_late: int
    notices: npt.NDArray[Any]
    scored: Gathered


def order(batch: EventBatch, rows: Resolved, state: TenantState) -> Ordered:
    """Judge the order of every reading and advance devices and series; adds to the raw digest."""
    status, tally = np.empty(batch.readings, np.uint8), np.zeros(_TOO_LATE + 1, np.int64)
    room, gathered = np.empty(_NOTICES_FIRST, NOTICE), _room_for(batch.readings)
    found: list[npt.NDArray[Any]] = []
    timeline, done = state.timeline, 0
    while done < len(batch):
        start = done
        done, notices = _order(
            start,
            rows.device,
            rows.stream,
            batch.ts,
            batch.flags,
            batch.reading_offsets,
            rows.series,
            rows.parameter,
            batch.value,
            state.devices.rows,
            state.series.rows,
            state.setting_of,
            timeline.acts_ms,
            timeline.zone,
            timeline.rows,
            timeline.zones.start,
            timeline.zones.from_ms,
            timeline.zones.offset,
            state.maintenance.rows,
            state.maintenance.pausing,
            state.raw_total,
            status,
            *gathered.columns,
            room,
            tally,
        )
        if notices:
            found.append(room[:notices].copy())
        if done == start:  # there might be no room for what a single event tells
            room = np.empty(2 * len(room), NOTICE)
    scored = gathered.take(slice(0, int(tally[_SCORED])))
    scored = replace(scored, effects=state.maintenance.effects(scored.readings, state.series.rows))
    notices_ = np.concatenate(found) if found else room[:0]
    return Ordered(status, tally[:_TOO_LATE], int(tally[_TOO_LATE]), notices_, scored)


def _room_for(readings: int) -> Gathered:
    def numbers() -> I32:
        return np.empty(readings, np.int32)

    columns = Readings(numbers(), np.empty(readings, np.int64), np.empty(readings), numbers(), numbers())
    return Gathered(columns, numbers(), numbers(), numbers())


@nb.njit(cache=True, nogil=True)
def _find_offset(row: Any, zone: int, ts: int, starts: I32, from_ms: I64, offsets: I32) -> None:
    """Cache the zone's offset at `ts` in the device's row, with the span in which it holds."""
    first, last = starts[zone], starts[zone + 1]
    at = first + np.searchsorted(from_ms[first:last], ts, side="right") - 1
    at = max(at, first)
    row.zone = zone
    row.zone_offset_ms = offsets[at]
    row.zone_from_ms = from_ms[at]
    row.zone_until_ms = from_ms[at + 1] if at + 1 < last else np.int64(1) << 62


@nb.njit(cache=True, nogil=True, inline="always")
def _judge_reading(
    row: Any,
    item: Any,
    ts: int,
    value: float,
    maintenance: npt.NDArray[Any],
    pausing: npt.NDArray[np.bool_],
    tally: I64,
) -> int:
    """Status of a reading by its series' newest stamp; advances the series when it is to be scored.

    Where the event takes part, but its device is further on, a correction puts its stamp in its place.
    """
    if ts > item.last_ms:
        if item.last_ms != NEVER_MS and learns_gap(maintenance, pausing, item.device, item.last_ms, ts):
            item.interval_ms = learn_interval(item.interval_ms, item.intervals, float(ts - item.last_ms))
            item.intervals = min(item.intervals + 1, 1_000_000)
        item.last_ms = ts
        item.last_value = value
        if ts < row.newest_ms:
            row.dirty = 1
        return 0
    if ts == item.last_ms:
        return _DUPLICATE if value == item.last_value else _CONFLICT
    if item.last_ms - ts <= LATE_MAX_MS:
        row.dirty = 1
    else:
        tally[_TOO_LATE] += 1
    return _LATE


@nb.njit(cache=True, nogil=True, inline="always")
def _takes_part(row: Any, ts: int) -> Any:
    """Whether an event without a reading to be judged counts for its device; asks for a correction."""
    behind_ms = row.newest_ms - ts
    if 0 < behind_ms <= LATE_MAX_MS:
        row.dirty = 1
    return behind_ms <= LATE_MAX_MS


@nb.njit(cache=True, nogil=True, inline="always")
def _judge_event(
    row: Any,
    ts: int,
    flag: int,
    stream: int,
    device: int,
    event: int,
    version: int,
    rules: Any,
    before: Any,
    bare: bool,
    maintenance: npt.NDArray[Any],
    pausing: npt.NDArray[np.bool_],
    room: npt.NDArray[Any],
    used: int,
) -> tuple[int, int]:
    """The status of all readings of an event, -1 where their series decide; advances the device.

    `before` are the rules of its newest stamp, by which a tick may have revealed a silence. `bare`: without
    any reading.
    """
    fixed = -1
    if flag & _CLOCK_WRONG:
        fixed = _CLOCK
        if row.newest_ms == NEVER_MS:
            row.stream = stream  # until a stamp is good; else it would be the first one that anybody had
        used = wrong_clock(row, ts, device, event, version, rules.device_checks, room, used)
    else:
        if row.clock_run != 0:
            used = good_clock(row, ts, device, event, version, room, used)
        if ts > row.newest_ms:
            passed_ms = passed_limit(row, ts, before)
            if passed_ms >= 0.0 and before.device_checks:
                used = end_silence(row, ts, device, event, version, passed_ms, room, used)
            elif row.silent:
                used = withdraw_silence(row, ts, device, event, version, room, used)
            learns = learns_gap(maintenance, pausing, device, row.newest_ms, ts)
            advance_device(row, ts, passed_ms, learns)
            row.live = flag & _LIVE
            row.stream = stream
        if row.quarantined or flag & _QUARANTINED_EVENT:
            fixed = _QUARANTINED
            if _takes_part(row, ts):
                row.active_ms = row.newest_ms  # its series are not advanced: they are not missing for that
        elif bare:
            _takes_part(row, ts)
    return fixed, used


@nb.njit(cache=True, nogil=True, inline="always")
def _is_due(row: Any, ts: int, device: int, maintenance: npt.NDArray[Any]) -> Any:
    """Whether to look for parameters that have gone missing; not within a maintenance window."""
    due = ts == row.newest_ms and ts >= row.next_check_ms
    return due and (len(maintenance) == 0 or alerts_again_ms(maintenance, device, ts) == ts)


@nb.njit(cache=True, nogil=True)
def _order(
    start: int,
    device: I32,
    stream: I32,
    ts: I64,
    flags: U8,
    reading_offsets: I32,
    reading_series: I32,
    parameter: I32,
    value: F64,
    devices: npt.NDArray[Any],
    series: npt.NDArray[Any],
    setting_of: I32,
    acts_ms: I64,
    zone: I32,
    versions: npt.NDArray[Any],
    zone_starts: I32,
    zone_from_ms: I64,
    zone_offsets: I32,
    windows: npt.NDArray[Any],
    pausing: npt.NDArray[np.bool_],
    raw_total: npt.NDArray[np.uint64],
    status: U8,
    out_series: I32,
    out_ts: I64,
    out_value: F64,
    out_offset_ms: I32,
    out_setting: I32,
    out_row: I32,
    out_event: I32,
    out_version: I32,
    room: npt.NDArray[Any],
    tally: I64,
) -> tuple[int, int]:
    """Order events from `start` on; stops where the notices might not fit into `room`."""
    used, k, bits = 0, tally[_SCORED], value.view(np.uint64)
    for i in range(start, len(ts)):
        d, t, row = device[i], ts[i], devices[device[i]]
        first, last = reading_offsets[i], reading_offsets[i + 1]
        if used + row.series_count + (last - first) + 4 > len(room):
            return i, used
        v = version_at(acts_ms, d, t)
        rules, before = versions[v], versions[version_at(acts_ms, d, row.newest_ms)]
        if zone[v, d] != row.zone or t < row.zone_from_ms or t >= row.zone_until_ms:
            _find_offset(row, zone[v, d], t, zone_starts, zone_from_ms, zone_offsets)
        fixed, used = _judge_event(
            row, t, flags[i], stream[i], d, i, v, rules, before, first == last, windows, pausing, room, used
        )
        for j in range(first, last):
            s, item = reading_series[j], series[reading_series[j]]
            found = fixed if fixed >= 0 else _judge_reading(row, item, t, value[j], windows, pausing, tally)
            status[j] = found
            if found == _SCORED:
                if item.missing:
                    used = end_missing(item, t, d, s, i, v, room, used)
                out_series[k], out_ts[k], out_value[k], out_row[k], out_event[k] = s, t, value[j], j, i
                out_offset_ms[k], out_version[k] = row.zone_offset_ms, v
                out_setting[k] = setting_of[v, parameter[j]]
                k += 1
            else:
                tally[found] += 1
            if found != _DUPLICATE:
                low, high = raw_row(item.key_low, item.key_high, t, bits[j])
                item.raw_low, item.raw_high = add_128(item.raw_low, item.raw_high, low, high)
                raw_total[0], raw_total[1] = add_128(raw_total[0], raw_total[1], low, high)
        tally[_SCORED] = k
        if fixed < 0 and rules.device_checks and _is_due(row, t, d, windows):
            used = find_missing(row, t, d, i, v, rules, series, room, used)
            row.next_check_ms = t + CHECK_EVERY_MS
    return len(ts), used
