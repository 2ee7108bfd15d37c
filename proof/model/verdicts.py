"""What a detector says about one reading."""

from __future__ import annotations

import math
from typing import NamedTuple

from proof.model.digest import Key, verdict_hash

NORMAL, ABNORMAL, NOT_READY = 0, 1, 2


class Score(NamedTuple):
    """A score with the band that the reading was judged by; NaN where there is none."""

    score: float = math.nan
    expected: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    verdict: int = NOT_READY
    reason: str = "none"


class Verdict(NamedTuple):
    """A score and what it is about."""

    key: Key
    offset: int
    ts: int
    value: float
    detector: str
    score: Score

    def row(self) -> int:
        """Its row in the digest."""
        verdict, score = self.score.verdict, self.score.score
        return verdict_hash(self.key, self.ts, self.value, self.detector, verdict, score)
