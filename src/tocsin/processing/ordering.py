"""Second step: what becomes of each reading, in order, and what its device's stamps tell.

Per series an older stamp is late, an equal one a duplicate or a conflict. Per device the step keeps the
newest stamp and the local offset, and notices silences, parameters that have gone missing and wrong
clocks: it looks at nothing but the device's own records, in the order of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS
from tocsin.events import F64, I32, I64, U8, EventBatch
from tocsin.model import Flag, Status
from tocsin.processing.hashing import add_128, raw_row
from tocsin.processing.resolving import Resolved
from tocsin.processing.state import TenantState

LATE_MAX_MS: Final = 30 * 86_400_000
"""Readings that are later than this are kept raw and counted, never corrected."""

CHECK_EVERY_MS: Final = 300_000
READY_INTERVALS: Final = 10
CLOCK_RUN_MIN: Final = 3

SILENCE_STARTED, SILENCE_ENDED, MISSING_STARTED, MISSING_ENDED, CLOCK_STARTED, CLOCK_ENDED = range(6)

NOTICE: Final = np.dtype(
    [
        ("started_ms", "i8"),
        ("ended_ms", "i8"),  # NEVER_MS while it lasts
        ("at_ms", "i8"),  # stamp of the record that showed it
        ("interval_ms", "f8"),
        ("limit_ms", "f8"),
        ("device", "i4"),
        ("series", "i4"),  # -1 = the device as a whole
        ("event", "i4"),  # row in the batch
        ("version", "i4"),
        ("kind", "u1"),
    ],
    align=True,
)

_LATE: Final = int(Status.LATE)
_DUPLICATE: Final = int(Status.DUPLICATE)
_CONFLICT: Final = int(Status.CONFLICT)
_CLOCK: Final = int(Status.UNSCORED_CLOCK)
_QUARANTINED: Final = int(Status.UNSCORED_QUARANTINED)
_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)
_LIVE: Final = int(Flag.LIVE)
_QUARANTINED_EVENT: Final = int(Flag.QUARANTINED)
_ALPHA: Final = 2.0 / 11.0


@dataclass(frozen=True, slots=True)
class Ordered:
    """`status` per reading; `version` and `local_offset_ms` per event; notices in order."""

    status: U8
    version: I32
    local_offset_ms: I32
    notices: npt.NDArray[Any]
    too_late: int


def order(batch: EventBatch, rows: Resolved, state: TenantState) -> Ordered:
    """Judge the order of every reading and advance devices and series; adds to the raw digest."""
    status = np.zeros(batch.readings, np.uint8)
    version, local_offset_ms = np.zeros(len(batch), np.int32), np.zeros(len(batch), np.int32)
    room = np.zeros(state.notice_room(batch), NOTICE)
    tally = np.zeros(1, np.int64)
    found: list[npt.NDArray[Any]] = []
    timeline, start = state.timeline, 0
    while start < len(batch):
        start, notices = _order(
            start,
            rows.device,
            rows.stream,
            batch.ts,
            batch.flags,
            batch.reading_offsets,
            rows.series,
            batch.value,
            state.devices.rows,
            state.series.rows,
            timeline.acts_ms,
            timeline.zone,
            timeline.rows,
            timeline.zones.start,
            timeline.zones.from_ms,
            timeline.zones.offset,
            state.raw_total,
            status,
            version,
            local_offset_ms,
            room,
            tally,
        )
        found.append(room[:notices].copy())
    return Ordered(
        status, version, local_offset_ms, np.concatenate(found) if found else room[:0], int(tally[0])
    )


def silences(state: TenantState, now_ms: int, skip: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """What a tick reveals: devices whose newest record was live and whose limit has passed by `now_ms`.

    `skip` marks devices that are left alone.
    """
    room = np.zeros(state.devices.count, NOTICE)
    used = _silences(now_ms, skip, state.devices.used, state.timeline.acts_ms, state.timeline.rows, room)
    return room[:used]


@nb.njit(cache=True, nogil=True, inline="always")
def _version_at(acts_ms: I64, device: int, ts: int) -> int:
    version = len(acts_ms) - 1
    while version > 0 and acts_ms[version, device] > ts:
        version -= 1
    return version


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
def _learn_interval(interval_ms: float, seen: int, gap_ms: float) -> float:
    """Mean of the first ten distances, then their exponential average."""
    weight = 1.0 / (seen + 1) if seen < READY_INTERVALS else _ALPHA
    return interval_ms + weight * (gap_ms - interval_ms)


@nb.njit(cache=True, nogil=True, inline="always")
def _limit(interval_ms: float, rules: Any) -> Any:
    return max(rules.silence_intervals * interval_ms, float(rules.silence_min_ms))


@nb.njit(cache=True, nogil=True, inline="always")
def _notice(
    room: npt.NDArray[Any],
    used: int,
    kind: int,
    device: int,
    series: int,
    event: int,
    version: int,
    started_ms: int,
    ended_ms: int,
    at_ms: int,
    interval_ms: float,
    limit_ms: float,
) -> int:
    row = room[used]
    row.kind, row.device, row.series, row.event, row.version = kind, device, series, event, version
    row.started_ms, row.ended_ms, row.at_ms = started_ms, ended_ms, at_ms
    row.interval_ms, row.limit_ms = interval_ms, limit_ms
    return used + 1


@nb.njit(cache=True, nogil=True)
def _wrong_clock(
    row: Any, ts: int, device: int, event: int, version: int, checks: bool, room: npt.NDArray[Any], used: int
) -> int:
    if row.clock_run == 0:
        row.clock_wrong_ms = ts
    if row.clock_run < 32_767:
        row.clock_run += 1
    if checks and row.clock_run >= CLOCK_RUN_MIN and not row.clock_open:
        row.clock_open = 1
        used = _notice(
            room,
            used,
            CLOCK_STARTED,
            device,
            -1,
            event,
            version,
            row.clock_wrong_ms,
            NEVER_MS,
            ts,
            float(ts - row.newest_ms),
            0.0,
        )
    return used


@nb.njit(cache=True, nogil=True)
def _good_clock(
    row: Any, ts: int, device: int, event: int, version: int, room: npt.NDArray[Any], used: int
) -> int:
    if row.clock_open:
        used = _notice(
            room, used, CLOCK_ENDED, device, -1, event, version, row.clock_wrong_ms, ts, ts, 0.0, 0.0
        )
    row.clock_open = 0
    row.clock_run = 0
    return used


@nb.njit(cache=True, nogil=True)
def _advance_device(
    row: Any, ts: int, device: int, event: int, version: int, rules: Any, room: npt.NDArray[Any], used: int
) -> int:
    """Take a newer stamp: end a silence, learn the interval."""
    if row.newest_ms == NEVER_MS:
        row.active_ms = ts
    else:
        gap_ms = float(ts - row.newest_ms)
        limit_ms = _limit(row.interval_ms, rules)
        ready = row.intervals >= READY_INTERVALS
        if ready and gap_ms > limit_ms:
            row.active_ms = ts
            if rules.device_checks:
                used = _notice(
                    room,
                    used,
                    SILENCE_ENDED,
                    device,
                    -1,
                    event,
                    version,
                    row.newest_ms + np.int64(limit_ms),
                    ts,
                    ts,
                    row.interval_ms,
                    limit_ms,
                )
        row.interval_ms = _learn_interval(
            row.interval_ms, row.intervals, min(gap_ms, limit_ms) if ready else gap_ms
        )
        row.intervals = min(row.intervals + 1, 1_000_000)
    row.newest_ms = ts
    row.silent = 0
    return used


@nb.njit(cache=True, nogil=True)
def _find_missing(
    row: Any,
    ts: int,
    device: int,
    event: int,
    version: int,
    rules: Any,
    series: npt.NDArray[Any],
    room: npt.NDArray[Any],
    used: int,
) -> int:
    """Look for series of an active device that have not been heard of for too long."""
    s = row.first_series
    while s >= 0:
        item = series[s]
        limit_ms = _limit(item.interval_ms, rules)
        since_ms = max(item.last_ms, row.active_ms)
        if not item.missing and item.intervals >= READY_INTERVALS and float(ts - since_ms) > limit_ms:
            item.missing = 1
            item.missing_ms = since_ms + np.int64(limit_ms)
            used = _notice(
                room,
                used,
                MISSING_STARTED,
                device,
                s,
                event,
                version,
                item.missing_ms,
                NEVER_MS,
                ts,
                item.interval_ms,
                limit_ms,
            )
        s = item.next
    return used


@nb.njit(cache=True, nogil=True)
def _end_missing(
    item: Any, ts: int, device: int, series: int, event: int, version: int, room: npt.NDArray[Any], used: int
) -> int:
    item.missing = 0
    return _notice(
        room,
        used,
        MISSING_ENDED,
        device,
        series,
        event,
        version,
        item.missing_ms,
        ts,
        ts,
        item.interval_ms,
        0.0,
    )


@nb.njit(cache=True, nogil=True, inline="always")
def _judge_reading(row: Any, item: Any, ts: int, value: float, tally: I64) -> int:
    """Status of a reading by its series' newest stamp; advances the series when it is to be scored."""
    if ts > item.last_ms:
        if item.last_ms != NEVER_MS:
            item.interval_ms = _learn_interval(item.interval_ms, item.intervals, float(ts - item.last_ms))
            item.intervals = min(item.intervals + 1, 1_000_000)
        item.last_ms = ts
        item.last_value = value
        return 0
    if ts == item.last_ms:
        return _DUPLICATE if value == item.last_value else _CONFLICT
    if item.last_ms - ts <= LATE_MAX_MS:
        row.dirty = 1
    else:
        tally[0] += 1
    return _LATE


@nb.njit(cache=True, nogil=True)
def _order(  # noqa: PLR0912 - one pass over the events touches each row once
    start: int,
    device: I32,
    stream: I32,
    ts: I64,
    flags: U8,
    reading_offsets: I32,
    reading_series: I32,
    value: F64,
    devices: npt.NDArray[Any],
    series: npt.NDArray[Any],
    acts_ms: I64,
    zone: I32,
    versions: npt.NDArray[Any],
    zone_starts: I32,
    zone_from_ms: I64,
    zone_offsets: I32,
    raw_total: npt.NDArray[np.uint64],
    status: U8,
    version: I32,
    local_offset_ms: I32,
    room: npt.NDArray[Any],
    tally: I64,
) -> tuple[int, int]:
    """Order events from `start` on; stops where the notices might not fit into `room`."""
    used = 0
    bits = value.view(np.uint64)
    for i in range(start, len(ts)):
        d, t = device[i], ts[i]
        row = devices[d]
        first, last = reading_offsets[i], reading_offsets[i + 1]
        if used + row.series_count + (last - first) + 4 > len(room):
            return i, used
        v = _version_at(acts_ms, d, t)
        rules = versions[v]
        version[i] = v
        if zone[v, d] != row.zone or t < row.zone_from_ms or t >= row.zone_until_ms:
            _find_offset(row, zone[v, d], t, zone_starts, zone_from_ms, zone_offsets)
        local_offset_ms[i] = row.zone_offset_ms
        fixed = -1
        if flags[i] & _CLOCK_WRONG:
            fixed = _CLOCK
            used = _wrong_clock(row, t, d, i, v, rules.device_checks, room, used)
        else:
            used = _good_clock(row, t, d, i, v, room, used)
            if t > row.newest_ms:
                used = _advance_device(row, t, d, i, v, rules, room, used)
                row.live = flags[i] & _LIVE
                row.stream = stream[i]
            if row.quarantined or flags[i] & _QUARANTINED_EVENT:
                fixed = _QUARANTINED
                row.active_ms = row.newest_ms  # its series are not advanced: they are not missing for that
        for j in range(first, last):
            item = series[reading_series[j]]
            if fixed >= 0:
                status[j] = fixed
            else:
                status[j] = _judge_reading(row, item, t, value[j], tally)
                if status[j] == 0 and item.missing:
                    used = _end_missing(item, t, d, reading_series[j], i, v, room, used)
            if status[j] != _DUPLICATE:
                low, high = raw_row(item.key_low, item.key_high, t, bits[j])
                item.raw_low, item.raw_high = add_128(item.raw_low, item.raw_high, low, high)
                raw_total[0], raw_total[1] = add_128(raw_total[0], raw_total[1], low, high)
        if fixed < 0 and rules.device_checks and t == row.newest_ms and t >= row.next_check_ms:
            used = _find_missing(row, t, d, i, v, rules, series, room, used)
            row.next_check_ms = t + CHECK_EVERY_MS
    return len(ts), used


@nb.njit(cache=True, nogil=True)
def _silences(
    now_ms: int,
    skip: npt.NDArray[np.bool_],
    devices: npt.NDArray[Any],
    acts_ms: I64,
    versions: npt.NDArray[Any],
    room: npt.NDArray[Any],
) -> int:
    used = 0
    for d in range(len(devices)):
        row = devices[d]
        if skip[d] or not row.live or row.silent or row.quarantined or row.intervals < READY_INTERVALS:
            continue
        v = _version_at(acts_ms, d, row.newest_ms)
        limit_ms = _limit(row.interval_ms, versions[v])
        if versions[v].device_checks and float(now_ms - row.newest_ms) > limit_ms:
            row.silent = 1
            used = _notice(
                room,
                used,
                SILENCE_STARTED,
                d,
                -1,
                -1,
                v,
                row.newest_ms + np.int64(limit_ms),
                NEVER_MS,
                now_ms,
                row.interval_ms,
                limit_ms,
            )
    return used
