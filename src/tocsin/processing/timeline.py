"""Which settings act on a device at a time: versions, each from its own moment for each device."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.control import Settings
from tocsin.detectors.abstract import NEVER_MS
from tocsin.events import I32, I64
from tocsin.processing.zones import ZoneTable

VERSIONS_MAX: Final = 16
FAR_MS: Final = 1 << 62
"""Where a version acts on a device only once its record is reached."""

VERSION: Final = np.dtype(
    [
        ("silence_intervals", "f8"),
        ("silence_min_ms", "i8"),
        ("open_after_ms", "i8"),
        ("close_after_ms", "i8"),
        ("open_readings", "i4"),
        ("close_readings", "i4"),
        ("device_checks", "u1"),  # silence, missing parameters and clocks are looked at
    ],
    align=True,
)

_GROWTH: Final = 1024


class Timeline:
    """Up to 16 versions of a tenant's settings; version 0 acts from the beginning.

    `acts_ms[v, d]`: version v acts on device d from this stamp on, if no later version does. `zone[v, d]`:
    the device's zone. A seventeenth version drops the oldest, so corrections of what it judged use the
    next one.
    """

    def __init__(self, zones: ZoneTable | None = None) -> None:
        self.zones = zones or ZoneTable()
        self.settings: list[Settings] = []
        self.effective_ms: list[int] = []
        self.offsets: list[int] = []  # of the control records that brought the versions
        self.rows: npt.NDArray[Any] = np.zeros(0, VERSION)
        self.acts_ms: I64 = np.zeros((0, _GROWTH), np.int64)
        self.zone: I32 = np.zeros((0, _GROWTH), np.int32)
        self.reached = FAR_MS  # while replaying: the offset that has been reached
        self._add(Settings(), NEVER_MS, -1)

    def __len__(self) -> int:
        return len(self.settings)

    def change(self, settings: Settings, effective_ms: int, offset: int, names: list[str]) -> int:
        """The number of the version that the control record at `offset` brings; added unless it is known.

        `names` are those of the known devices; `act` says from when it acts on each.
        """
        if offset in self.offsets:
            return self.offsets.index(offset)
        if len(self.settings) >= VERSIONS_MAX:
            del self.settings[0], self.effective_ms[0], self.offsets[0]
            self.rows = self.rows[1:].copy()
            self.acts_ms, self.zone = self.acts_ms[1:].copy(), self.zone[1:].copy()
        self._add(settings, effective_ms, offset)
        self._place(len(self.settings) - 1, names, 0)
        return len(self.settings) - 1

    def act(self, version: int, devices: I64, newest_ms: I64) -> None:
        """Let a version act on devices from the later of its effective time and after their newest stamp."""
        self.acts_ms[version, devices] = np.maximum(self.effective_ms[version], newest_ms + 1)

    def for_device(self, device: int) -> Timeline:
        """The versions that a single device of this timeline has, for deriving it again as device 0."""
        own = Timeline(self.zones)
        own.restore(list(zip(self.settings, self.effective_ms, self.offsets, strict=True)))
        own.acts_ms[:, 0] = self.acts_ms[:, device]
        own.zone[:, 0] = self.zone[:, device]
        return own

    def restore(self, versions: list[tuple[Settings, int, int]]) -> None:
        """Take over versions as (settings, effective_ms, offset); before any device is known."""
        self.settings, self.effective_ms, self.offsets = [], [], []
        self.rows, self.acts_ms, self.zone = self.rows[:0], self.acts_ms[:0], self.zone[:0]
        for settings, effective_ms, offset in versions:
            self._add(settings, effective_ms, offset)

    def add_devices(self, names: list[str], first: int) -> None:
        """Start devices `first …` with these names: every version acts from its own effective time."""
        needed = first + len(names)
        if needed > self.acts_ms.shape[1]:
            extra = max(needed, self.acts_ms.shape[1] * 9 // 8 + _GROWTH) - self.acts_ms.shape[1]
            self.acts_ms = np.pad(self.acts_ms, ((0, 0), (0, extra)))
            self.zone = np.pad(self.zone, ((0, 0), (0, extra)))
        for version, effective_ms in enumerate(self.effective_ms):
            known = self.offsets[version] <= self.reached
            self.acts_ms[version, first:needed] = effective_ms if known else FAR_MS
            self._place(version, names, first)

    def version_at(self, device: int, ts: int) -> int:
        """The version that acts on a device at a stamp."""
        version = len(self.settings) - 1
        while version > 0 and self.acts_ms[version, device] > ts:
            version -= 1
        return version

    def _place(self, version: int, names: list[str], first: int) -> None:
        settings = self.settings[version]
        self.zone[version, first : first + len(names)] = self.zones.number(settings.timezone)
        if settings.timezones:
            for row, name in enumerate(names):
                if name in settings.timezones:
                    self.zone[version, first + row] = self.zones.number(settings.timezones[name])

    def _add(self, settings: Settings, effective_ms: int, offset: int) -> None:
        self.settings.append(settings)
        self.effective_ms.append(effective_ms)
        self.offsets.append(offset)
        self.rows = np.append(self.rows, _version_row(settings))
        width = self.acts_ms.shape[1]
        self.acts_ms = np.vstack([self.acts_ms, np.full((1, width), effective_ms, np.int64)])
        self.zone = np.vstack([self.zone, np.zeros((1, width), np.int32)])


def _version_row(settings: Settings) -> npt.NDArray[Any]:
    row = np.zeros(1, VERSION)
    policy = settings.policy
    row["silence_intervals"] = settings.silence_intervals
    row["silence_min_ms"] = settings.silence_min_s * 1000
    row["open_after_ms"] = policy.open_after_s * 1000
    row["close_after_ms"] = policy.close_after_s * 1000
    row["open_readings"] = policy.open_readings
    row["close_readings"] = policy.close_readings
    row["device_checks"] = "health" in settings.detectors
    return row
