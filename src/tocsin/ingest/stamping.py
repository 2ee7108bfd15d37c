"""What ingest's clock says about each event, decided once and written into the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numba as nb
import numpy as np

from tocsin.events import I32, I64, U8, EventBatch
from tocsin.ingest.parsing.event_line import event_line
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault
from tocsin.model import Flag

LIVE_MS: Final = 600_000
SKEW_MS: Final = 300_000
_SECONDS_FROM: Final = 946_684_800  # 2000-01-01 in seconds; in milliseconds it is 11 January 1970
_SECONDS_TO: Final = 4_102_444_800  # 2100-01-01
_LIVE: Final = int(Flag.LIVE)
_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)


def stamp(
    batch: EventBatch, arrival_ms: int | I64, *, live_ms: int = LIVE_MS, skew_ms: int = SKEW_MS
) -> tuple[EventBatch, I64]:
    """The batch with these flags besides its own, and the rows whose clocks are wrong.

    There is one arrival, or one per event. LIVE: the stamp is within `live_ms` of the arrival. CLOCK_WRONG:
    it is more than `skew_ms` ahead.
    """
    arrivals = np.atleast_1d(np.asarray(arrival_ms, np.int64))
    flags, wrong = _flags(batch.ts, arrivals, live_ms, skew_ms)
    return replace(batch, flags=flags | batch.flags), wrong


def clock_warnings(
    batch: EventBatch, line: I32, rows: I64, arrival_ms: int, field: str = "ts"
) -> list[LineError]:
    """What to tell the sender about the rows with wrong clocks; they are accepted all the same."""
    warnings = []
    for row in rows.tolist():
        ahead_s = (int(batch.ts[row]) - arrival_ms) / 1000
        fault = LineFault(LineCode.CLOCK_SKEW, f"The time stamp is {ahead_s:.0f} s in the future", field)
        warnings.append(fault.at(int(line[row]), event_line(batch, row)))
    return warnings


def stamped_in_seconds(batch: EventBatch) -> I64:
    """The rows whose stamps lie in the first weeks of 1970, and as seconds would be of this century."""
    return np.flatnonzero((batch.ts >= _SECONDS_FROM) & (batch.ts < _SECONDS_TO))


def unit_warnings(batch: EventBatch, line: I32, rows: I64, field: str = "ts") -> list[LineError]:
    """What to tell the sender about rows that are stamped in seconds; they are accepted all the same."""
    warnings = []
    for row in rows.tolist():
        sent = int(batch.ts[row])
        taken, meant = (datetime.fromtimestamp(s, UTC) for s in (sent / 1000, sent))
        message = (
            f"The time stamp {sent} is {taken:%Y-%m-%d} in milliseconds, but {meant:%Y-%m-%d} in seconds"
        )
        fault = LineFault(LineCode.SECONDS_SENT, message, field)
        warnings.append(fault.at(int(line[row]), event_line(batch, row)))
    return warnings


@nb.njit(cache=True, nogil=True)
def _flags(ts: I64, arrivals: I64, live_ms: int, skew_ms: int) -> tuple[U8, I64]:
    flags, wrong = np.zeros(len(ts), np.uint8), np.empty(len(ts), np.int64)
    count = 0
    for i in range(len(ts)):
        ahead_ms = ts[i] - arrivals[i if len(arrivals) > 1 else 0]
        if abs(ahead_ms) <= live_ms:
            flags[i] = _LIVE
        if ahead_ms > skew_ms:
            flags[i] |= _CLOCK_WRONG
            wrong[count] = i
            count += 1
    return flags, wrong[:count].copy()
