"""How busy a machine is: three shifts, weekends, and what never sleeps."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS

# local hour -> share of full work
_EARLY, _LATE, _NIGHT = 1.0, 0.8, 0.15
_SHIFTS: Final = tuple([_NIGHT] * 6 + [_EARLY] * 8 + [_LATE] * 8 + [_NIGHT] * 2)
_DAYS: Final = (1.0, 1.0, 1.0, 1.0, 0.95, 0.4, 0.1)  # Monday to Sunday
SHIFT_HOURS: Final = (6, 14)
"""When the machine is started anew: at the beginning of the early and of the late shift."""
_THURSDAY: Final = 3  # 1970-01-01


def work_at(local_ms: int) -> float:
    """Share of full work at a local time (milliseconds since 1970 by the clock on the wall).

    >>> work_at(4 * DAY_MS + 7 * HOUR_MS), work_at(3 * DAY_MS + 7 * HOUR_MS)
    (1.0, 0.1)
    """
    day, in_day = divmod(local_ms, DAY_MS)
    return _SHIFTS[in_day // HOUR_MS] * _DAYS[(day + _THURSDAY) % 7]
