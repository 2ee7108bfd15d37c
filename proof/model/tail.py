"""How rare a reading is for its own series: docs/explanation/seasonal.md, "How strange, and how rare"."""

from __future__ import annotations

from dataclasses import dataclass

KNEE_EFOLDS = 3.912023005428146
"""ln 50: one reading of 50 lies beyond the knee."""


@dataclass(slots=True)
class Tail:
    """Two numbers: the knee, and the mean excess beyond it."""

    knee: float = 3.0
    excess: float = 1.0

    def rarity(self, z: float) -> float:
        """In e-folds."""
        if z <= self.knee:
            return KNEE_EFOLDS * (z / self.knee)
        return KNEE_EFOLDS + (z - self.knee) / self.excess

    def limit(self, efolds: float) -> float:
        """The z that is so rare."""
        return self.knee + (efolds - KNEE_EFOLDS) * self.excess

    def learn(self, z: float, weight: float) -> None:
        """A reading that counts `weight`."""
        if z <= self.knee:
            self.knee = max(self.knee - self.knee * (0.05 * 0.02 * weight), 0.25)
        else:
            over = min(z - self.knee, 100.0 * self.excess)
            learnt = self.excess + (over - self.excess) * (0.125 * weight)
            self.excess = min(max(learnt, 0.1 * self.knee), 30.0)
            self.knee = min(self.knee + self.knee * (0.05 * (1.0 - 0.02) * weight), 8.0)
