"""What ingest's clock says about each event, decided once and written into the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tocsin.events import I32, I64, EventBatch
from tocsin.ingest.parsing.event_line import event_line
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault
from tocsin.model import Flag

LIVE_MS: Final = 600_000
SKEW_MS: Final = 300_000


def stamp(
    batch: EventBatch, arrival_ms: int | I64, *, live_ms: int = LIVE_MS, skew_ms: int = SKEW_MS
) -> tuple[EventBatch, I64]:
    """The batch with its flags set, and the rows whose clocks are wrong; one arrival or one per event.

    LIVE: the stamp is within `live_ms` of the arrival. CLOCK_WRONG: it is more than `skew_ms` ahead.
    """
    ahead_ms = batch.ts - arrival_ms
    wrong = ahead_ms > skew_ms
    flags = np.where(np.abs(ahead_ms) <= live_ms, Flag.LIVE, 0) | np.where(wrong, Flag.CLOCK_WRONG, 0)
    return replace(batch, flags=flags.astype(np.uint8)), np.flatnonzero(wrong)


def clock_warnings(batch: EventBatch, line: I32, rows: I64, arrival_ms: int) -> list[LineError]:
    """What to tell the sender about the rows with wrong clocks; they are accepted all the same."""
    warnings = []
    for row in rows.tolist():
        ahead_s = (int(batch.ts[row]) - arrival_ms) / 1000
        fault = LineFault(LineCode.CLOCK_SKEW, f"The time stamp is {ahead_s:.0f} s in the future", "ts")
        warnings.append(fault.at(int(line[row]), event_line(batch, row)))
    return warnings
