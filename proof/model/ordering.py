"""What becomes of a reading: docs/explanation/ordering-and-late-data.md, "One order per series"."""

from __future__ import annotations

from dataclasses import dataclass

from proof.model.records import NEVER_MS

LATE_MAX_MS = 30 * 86_400_000
READY_INTERVALS = 10


@dataclass(slots=True)
class Pace:
    """The usual distance of two stamps: the mean of the first ten, then a moving average."""

    interval_ms: float = 0.0
    seen: int = 0

    @property
    def ready(self) -> bool:
        """Whether it says something."""
        return self.seen >= READY_INTERVALS

    def learn(self, gap_ms: float) -> None:
        """One more distance."""
        weight = 1.0 / (self.seen + 1) if self.seen < READY_INTERVALS else 2.0 / 11.0
        self.interval_ms += weight * (gap_ms - self.interval_ms)
        self.seen += 1


@dataclass(slots=True)
class SeriesOrder:
    """The newest reading of a series and its pace."""

    last_ms: int = NEVER_MS
    last_value: float = 0.0

    def status(self, ts: int, value: float) -> str:
        """One of scored, duplicate, conflict, late; changes nothing."""
        if ts > self.last_ms:
            return "scored"
        if ts < self.last_ms:
            return "late"
        return "duplicate" if value == self.last_value else "conflict"

    def too_late(self, ts: int) -> bool:
        """Whether a reading is too late for corrections."""
        return self.last_ms - ts > LATE_MAX_MS

    def advance(self, ts: int, value: float, pace: Pace, *, learns: bool) -> None:
        """Take a reading that is scored; `learns`: the distance from the last one, too."""
        if self.last_ms != NEVER_MS and learns:
            pace.learn(float(ts - self.last_ms))
        self.last_ms, self.last_value = ts, value
