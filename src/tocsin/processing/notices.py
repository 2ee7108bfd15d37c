"""What a device's stamps tell beside its values: silences, parameters gone missing, wrong clocks.

The kernels are parts of the second step; they look at nothing but the device's own records, in the order
of the log. What takes `room` is called where there is something to say, since handing over an array
counts references, which costs more than the rest of an event.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS
from tocsin.events import I64
from tocsin.processing.maintenance import alerts_again_ms
from tocsin.processing.state import TenantState

CHECK_EVERY_MS: Final = 300_000
READY_INTERVALS: Final = 10
CLOCK_RUN_MIN: Final = 3

SILENCE_STARTED, SILENCE_ENDED, SILENCE_WITHDRAWN = range(3)
MISSING_STARTED, MISSING_ENDED, MISSING_WITHDRAWN, CLOCK_STARTED, CLOCK_ENDED = range(3, 8)

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

_ALPHA: Final = 2.0 / 11.0


def silences(state: TenantState, now_ms: int, skip: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """What a tick reveals: devices whose newest record was live and whose limit has passed by `now_ms`.

    `skip` marks devices that are left alone.
    """
    room = np.zeros(state.devices.count, NOTICE)
    timeline, windows = state.timeline, state.maintenance.rows
    used = _silences(now_ms, skip, state.devices.used, timeline.acts_ms, timeline.rows, windows, room)
    return room[:used]


@nb.njit(cache=True, nogil=True, inline="always")
def version_at(acts_ms: I64, device: int, ts: int) -> int:
    """The version of the settings that acts on a device at a stamp."""
    version = len(acts_ms) - 1
    while version > 0 and acts_ms[version, device] > ts:
        version -= 1
    return version


@nb.njit(cache=True, nogil=True, inline="always")
def learn_interval(interval_ms: float, seen: int, gap_ms: float) -> float:
    """Mean of the first ten distances, then their exponential average."""
    weight = 1.0 / (seen + 1) if seen < READY_INTERVALS else _ALPHA
    return interval_ms + weight * (gap_ms - interval_ms)


@nb.njit(cache=True, nogil=True)
def passed_limit(row: Any, ts: int, rules: Any) -> float:
    """The limit on a device's silence if its newest stamp lies further back than that, else -1."""
    if row.intervals < READY_INTERVALS:
        return -1.0
    limit_ms: float = _limit(row.interval_ms, rules)
    return limit_ms if float(ts - row.newest_ms) > limit_ms else -1.0


@nb.njit(cache=True, nogil=True)
def advance_device(row: Any, ts: int, passed_ms: float, learns: bool) -> None:
    """Take a newer stamp and learn the interval, of which no silence counts more than its limit."""
    if row.newest_ms == NEVER_MS:
        row.active_ms = ts
    else:
        gap_ms = float(ts - row.newest_ms)
        if passed_ms >= 0.0:
            row.active_ms = ts
            gap_ms = passed_ms
        if learns:
            row.interval_ms = learn_interval(row.interval_ms, row.intervals, gap_ms)
            row.intervals = min(row.intervals + 1, 1_000_000)
    row.newest_ms = ts
    row.silent = 0


@nb.njit(cache=True, nogil=True)
def end_silence(
    row: Any,
    ts: int,
    device: int,
    event: int,
    version: int,
    limit_ms: float,
    room: npt.NDArray[Any],
    used: int,
) -> int:
    """Say that a silence has ended, before the device takes the stamp that ended it."""
    started_ms = row.newest_ms + np.int64(limit_ms)
    return _notice(
        room,
        used,
        SILENCE_ENDED,
        device,
        -1,
        event,
        version,
        started_ms,
        ts,
        ts,
        row.interval_ms,
        limit_ms,
    )


@nb.njit(cache=True, nogil=True)
def withdraw_silence(
    row: Any, ts: int, device: int, event: int, version: int, room: npt.NDArray[Any], used: int
) -> int:
    """Say that there was no silence: a tick revealed one, but the stamps that came since have no such gap."""
    return _notice(
        room,
        used,
        SILENCE_WITHDRAWN,
        device,
        -1,
        event,
        version,
        row.newest_ms,
        ts,
        ts,
        row.interval_ms,
        0.0,
    )


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
def wrong_clock(
    row: Any, ts: int, device: int, event: int, version: int, checks: bool, room: npt.NDArray[Any], used: int
) -> int:
    if row.clock_run == 0:
        row.clock_wrong_ms = row.newest_ms if row.newest_ms != NEVER_MS else ts
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
def good_clock(
    row: Any, ts: int, device: int, event: int, version: int, room: npt.NDArray[Any], used: int
) -> int:
    if row.clock_open:
        used = _notice(
            room,
            used,
            CLOCK_ENDED,
            device,
            -1,
            event,
            version,
            row.clock_wrong_ms,
            max(row.clock_wrong_ms, ts),
            ts,
            0.0,
            0.0,
        )
    row.clock_open = 0
    row.clock_run = 0
    return used


@nb.njit(cache=True, nogil=True)
def find_missing(
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
def end_missing(
    item: Any, ts: int, device: int, series: int, event: int, version: int, room: npt.NDArray[Any], used: int
) -> int:
    """Say that a parameter is back; by a stamp within its limit, that it has never been missing."""
    item.missing = 0
    return _notice(
        room,
        used,
        MISSING_ENDED if ts > item.missing_ms else MISSING_WITHDRAWN,
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


@nb.njit(cache=True, nogil=True)
def _silences(
    now_ms: int,
    skip: npt.NDArray[np.bool_],
    devices: npt.NDArray[Any],
    acts_ms: I64,
    versions: npt.NDArray[Any],
    maintenance: npt.NDArray[Any],
    room: npt.NDArray[Any],
) -> int:
    used = 0
    for d in range(len(devices)):
        row = devices[d]
        if skip[d] or not row.live or row.silent or row.quarantined or row.intervals < READY_INTERVALS:
            continue
        v = version_at(acts_ms, d, row.newest_ms)
        limit_ms = _limit(row.interval_ms, versions[v])
        if versions[v].device_checks and float(now_ms - row.newest_ms) > limit_ms:
            if now_ms <= alerts_again_ms(maintenance, d, row.newest_ms + np.int64(limit_ms)):
                continue
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
