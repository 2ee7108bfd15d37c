"""What a reader of lines is told: the zone of stamps without one, a time near them, and a format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tocsin.templates._stamp_kernel import LOCAL, OF_DAY, YEARLESS
from tocsin.templates.format import RECOGNISED, Format

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
LEVELS: Final = ("", "trace", "debug", "info", "notice", "warning", "error", "fatal")
"""Levels by number."""
NO_STAMP: Final = np.iinfo(np.int64).min
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reader:
    """How lines are read.

    `zone` holds for stamps that name none: that of a device or an application. Of an hour that comes twice
    the first is meant, and a time that the clock skipped is counted on from before, as zoneinfo does without
    `fold`. `reference` is a time that no line is more than a day beyond, such as that of the dump: it says
    the year of stamps without one, and the day of stamps without a date. Without it the miner's year stands
    in, and days are not guessed.
    """

    zone: tzinfo = UTC
    reference: datetime | None = None
    format: Format = RECOGNISED

    def clock(self, year: int) -> npt.NDArray[np.int64]:
        """For kernels: the year of stamps without one, and what they can't be a day beyond, 0 = unknown."""
        if self.reference is None:
            return np.array([year, 0], np.int64)
        wall = self.reference.astimezone(self.zone)
        return np.array([wall.year, _wall_us(wall)], np.int64)

    def utc_us(self, wall_us: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Stamps as heads have them in UTC; `NO_STAMP` where there is none, or no day is known."""
        stamps = np.where(kinds == 0, NO_STAMP, wall_us)
        daily = kinds == OF_DAY
        if self.reference is None:
            stamps[daily] = NO_STAMP
        elif daily.any():
            near = _wall_us(self.reference.astimezone(self.zone))
            stamps[daily] += (
                np.where(wall_us[daily] > near % DAY_US + MINUTE_US, near // DAY_US - 1, near // DAY_US)
                * DAY_US
            )
        local = (kinds == LOCAL) | (kinds == YEARLESS) | (daily & (stamps != NO_STAMP))
        stamps[local] -= self._offsets_us(stamps[local])
        return stamps

    def _offsets_us(self, wall_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What the zone's clocks are ahead of UTC; it changes at whole minutes."""
        minutes, where = np.unique(wall_us // MINUTE_US, return_inverse=True)
        offsets = [self._offset_us(int(minute)) for minute in minutes]
        return np.array(offsets, np.int64)[where]

    def _offset_us(self, minute: int) -> int:
        wall = (_EPOCH + timedelta(minutes=minute)).replace(tzinfo=self.zone)
        return (wall.utcoffset() or timedelta()) // timedelta(microseconds=1)


def _wall_us(wall: datetime) -> int:
    """What the clock on the wall shows, in microseconds since 1970."""
    return (wall.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


AS_RECOGNISED: Final = Reader()


class Columns(NamedTuple):
    """Lines as columns: microseconds in UTC or `NO_STAMP`, levels from 0 (not said) to 7, component and text.

    Components and texts are places in the data, from and to.
    """

    stamps_us: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int64]
    components: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int64]
