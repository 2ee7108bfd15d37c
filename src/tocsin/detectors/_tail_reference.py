"""The tail of thresholds.py in plain Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tail:
    """A knee that one reading of 50 exceeds, and the mean excess beyond it."""

    knee: float = 3.0
    excess: float = 1.0

    def rarity(self, z: float) -> float:
        """e-folds; ln 50 of them at the knee."""
        if z <= self.knee:
            return 3.912023005428146 * (z / self.knee)
        return 3.912023005428146 + (z - self.knee) / self.excess

    def reach(self, efolds: float) -> float:
        """The z that is so rare."""
        return self.knee + (efolds - 3.912023005428146) * self.excess

    def learn(self, z: float, weight: float) -> None:
        """One reading that counts `weight`."""
        if z <= self.knee:
            self.knee = max(self.knee - self.knee * (0.05 * 0.02 * weight), 0.25)
            return
        over = min(z - self.knee, 100.0 * self.excess)
        learnt = self.excess + (over - self.excess) * (0.125 * weight)
        self.excess = min(max(learnt, 0.1 * self.knee), 30.0)
        self.knee = min(self.knee + self.knee * (0.05 * (1.0 - 0.02) * weight), 8.0)
