"""How many requests a day the third party is sent at most."""

from __future__ import annotations

from typing import Final

DAY_S: Final = 86_400.0
_BURST_S: Final = 900.0
_BURST_MIN: Final = 20.0


class Allowance:
    """Fills up evenly over the day, holds a quarter of an hour's worth, and is full at the start.

    Devices that become known bring their share of what it holds, since each has to be found first.

    `per_device_day` requests for each known device, and `per_day_min` if that is more. Not thread-safe.
    """

    def __init__(self, per_device_day: float, per_day_min: float, now_s: float) -> None:
        self._per_device_day: Final = per_device_day
        self._per_day_min: Final = per_day_min
        self._at_s = now_s
        self._per_day = per_day_min
        self._left = self._most

    @property
    def _most(self) -> float:
        return max(_BURST_MIN, self._per_day * _BURST_S / DAY_S)

    def fill(self, devices: int, now_s: float) -> None:
        """Let time pass, for so many devices."""
        self._left += max(0.0, now_s - self._at_s) * self._per_day / DAY_S
        most = self._most
        self._per_day = max(self._per_day_min, self._per_device_day * devices)
        self._left = min(self._left + max(0.0, self._most - most), self._most)
        self._at_s = now_s

    def take(self) -> bool:
        """Whether one more request may be sent now; then it counts as sent."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
