"""What ingest decides about time, per event, and writes into the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tocsin.events import I64, EventBatch
from tocsin.model import Flag

LIVE_WITHIN_MS = 600_000
CLOCK_AHEAD_MAX_MS = 300_000


def stamp(
    batch: EventBatch,
    arrival_ms: int | I64,
    *,
    live_within_ms: int = LIVE_WITHIN_MS,
    ahead_max_ms: int = CLOCK_AHEAD_MAX_MS,
) -> tuple[EventBatch, I64]:
    """The batch with its flags, and the rows whose clock is wrong: ahead of their arrival by too much.

    A stamp in the past is never wrong, only not live: devices may send what they kept.
    """
    distance_ms = batch.ts - arrival_ms
    wrong = distance_ms > ahead_max_ms
    live = np.abs(distance_ms) <= live_within_ms
    flags = (live * np.uint8(Flag.LIVE) | wrong * np.uint8(Flag.CLOCK_WRONG)).astype(np.uint8)
    return replace(batch, flags=flags), np.flatnonzero(wrong).astype(np.int64)
