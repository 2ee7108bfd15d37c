"""The watch that every detector keeps over an abnormal series, so that its episode can be proved."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

WATCH_HOT_FIELDS: Final = [("normals", np.uint8), ("watched", np.uint8)]
WATCH_SETTINGS_FIELDS: Final = [("watch_ms", np.int64), ("watch_readings", np.int64)]
PAUSE_SETTINGS_FIELDS: Final = [("pause", np.int64)]  # other than 0: nothing is learnt


@nb.njit(cache=True, nogil=True)
def begin_watch(row: Any, ts: int, series: Any, was: Any, begun: Any) -> None:
    """Keep the row as it was just before the first abnormal reading of a run."""
    begun.series = series
    begun.ts = ts
    begun.before = was
    row.before_ms = ts


@nb.njit(cache=True, nogil=True, inline="always")
def watch(row: Any, rule: Any, ts: int, verdict: int) -> None:
    """Follow one verdict: a watch begins at an abnormal reading and ends as a policy ends its run.

    That is at a normal reading, when `watch_ms` have passed since the last abnormal one and
    `watch_readings` normal ones were seen in a row. "Not ready" changes nothing.
    """
    if verdict == 1:
        row.watched = 1
        row.normals = 0
        row.last_abnormal_ms = ts
    elif row.watched != 0 and verdict == 0:
        row.normals = min(row.normals + 1, 255)
        if ts - row.last_abnormal_ms >= rule.watch_ms and row.normals >= rule.watch_readings:
            row.watched = 0
