"""Rows of the processor's state: one per device, per series, and per series and detector.

All start zeroed; the functions here fill in what does not start at zero. Times are ms UTC.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.detectors.abstract import NEVER_MS

STATE_VERSION: Final = 7
"""Version of every row below and of the snapshot around them; a snapshot of another is rebuilt by replay."""

DEVICE: Final = np.dtype(
    [
        ("newest_ms", "i8"),  # newest stamp of an event with a good clock; NEVER_MS before the first
        ("active_ms", "i8"),  # since when it has sent without a silence
        ("next_check_ms", "i8"),  # when to look for parameters that have gone missing
        ("zone_from_ms", "i8"),  # the cached local offset holds from here …
        ("zone_until_ms", "i8"),  # … until here
        ("clock_wrong_ms", "i8"),  # newest good stamp before the run of wrong ones, their first if none
        ("sorted_below", "i8"),  # offset of the last correction, which put all before it in order of time
        ("interval_ms", "f8"),  # typical distance of two stamps
        ("key_low", "u8"),
        ("key_high", "u8"),
        ("scored_low", "u8"),  # digest of what concerns the device as a whole
        ("scored_high", "u8"),
        ("delta_low", "u8"),  # what corrections changed: final = scored + delta
        ("delta_high", "u8"),
        ("zone_offset_ms", "i4"),
        ("zone", "i4"),  # number of the cached zone, -1 = none yet
        ("intervals", "i4"),  # how many intervals `interval_ms` has seen
        ("first_series", "i4"),  # -1 = none; the others follow by SERIES.next
        ("series_count", "i4"),
        ("stream", "i4"),  # number of (application, version) of the newest event
        ("shard", "i2"),
        ("clock_run", "i2"),  # wrong stamps in a row, at most 32767
        ("live", "u1"),  # whether the newest event was live
        ("silent", "u1"),  # a tick has revealed a silence that has not ended
        ("clock_open", "u1"),
        ("quarantined", "u1"),
        ("dirty", "u1"),  # has late readings that no correction has taken in
    ],
    align=True,
)

SERIES: Final = np.dtype(
    [
        ("last_ms", "i8"),  # newest scored stamp; NEVER_MS before the first
        ("last_value", "f8"),
        ("interval_ms", "f8"),
        ("missing_ms", "i8"),  # since when it has been missing, while `missing`
        ("key_low", "u8"),
        ("key_high", "u8"),
        ("raw_low", "u8"),
        ("raw_high", "u8"),
        ("scored_low", "u8"),
        ("scored_high", "u8"),
        ("delta_low", "u8"),
        ("delta_high", "u8"),
        ("device", "i4"),
        ("parameter", "i4"),
        ("next", "i4"),
        ("intervals", "i4"),
        ("running", "u4"),  # bit k: the policy of slot k is in a run, so its row has to be looked at
        ("missing", "u1"),
    ],
    align=True,
)

IDLE, CANDIDATE, OPEN, SUPPRESSED = range(4)
"""Of a run; suppressed: it would be open, were there no maintenance window."""

POLICY: Final = np.dtype(
    [
        ("started_ms", "i8"),
        ("opened_ms", "i8"),
        ("last_abnormal_ms", "i8"),
        ("peak_ms", "i8"),
        ("score", "f8"),  # of the peak, like the next four
        ("value", "f8"),
        ("expected", "f8"),
        ("lower", "f8"),
        ("upper", "f8"),
        ("rows_low", "u8"),  # sum of the verdict rows since `started_ms`
        ("rows_high", "u8"),
        ("readings", "i4"),  # abnormal ones
        ("calm", "i4"),  # normal ones in a row
        ("peak_local_offset_ms", "i4"),
        ("phase", "u1"),
        ("reason", "u1"),
        ("severity", "u1"),
    ],
    align=True,
)

FEEDBACK: Final = np.dtype(
    [
        ("acts_ms", "i8"),  # from this stamp on
        ("until_ms", "i8"),  # below this one, where it ends by itself
        ("at_ms", "i8"),
        ("action", "i8"),
        ("hours", "u8", 3),  # bit k: it acts at hour k of the week, from Monday 0:00 on
        ("series", "i4"),
        ("kind", "u1"),  # one of the values of feedback.KINDS
        ("steps", "u1"),
        ("before", "u1"),  # the steps until then
        ("met", "u1"),  # whether a scored reading has come to it
        ("void", "u1"),  # taken back, or what took something back: it acts on nothing
        ("anomaly", "S47"),  # so that no byte of a row is padding
    ],
    align=True,
)

MAINTENANCE: Final = np.dtype(
    [
        ("acts_ms", "i8"),  # from this stamp on
        ("until_ms", "i8"),  # below this one
        ("device", "i4"),
        ("effects", "u1"),  # bits: NO_ALERT, NO_LEARN
        ("window", "S27"),
    ],
    align=True,
)

NO_ALERT: Final = 1
NO_LEARN: Final = 2

PARAMETER_KEY: Final = np.dtype([("low", "u8"), ("high", "u8")])


def start_devices(rows: npt.NDArray[Any]) -> None:
    """Fill new device rows in place."""
    for name in ("newest_ms", "active_ms", "next_check_ms", "clock_wrong_ms"):
        rows[name] = NEVER_MS
    rows["zone"] = -1
    rows["first_series"] = -1
