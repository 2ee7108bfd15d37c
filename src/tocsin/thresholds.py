"""Limits from the tail of a series' own past, so that scores of different series mean the same.

Peaks over a threshold: of the strangeness z of its readings, a series remembers two numbers, a high
quantile `knee` (z is above it in one reading of 50) and the mean `excess` of z above it. The tail beyond
the knee is taken as exponential, so P(z) = exp(-(KNEE_EFOLDS + (z - knee) / excess)): what is counted is
e-folds of rarity. A heavy-tailed series has a large excess and does not cry wolf; a light-tailed one has
a small excess and is watched closely. Follows Siffer et al., "Anomaly detection in streams with extreme
value theory" (KDD 2017), with a shape of zero and moving estimates (Robbins and Monro, 1951) in place of
the fitted Pareto.
"""

from __future__ import annotations

from typing import Final

import numba as nb

KNEE_SHARE: Final = 0.02
KNEE_EFOLDS: Final = 3.912023005428146  # -ln(KNEE_SHARE)
KNEE_START: Final = 3.0  # above the 2.33 of a Gaussian: doubtful at first
EXCESS_START: Final = 1.0  # a Gaussian has 0.37
KNEE_GAIN: Final = 0.05
KNEE_UP: Final = KNEE_GAIN * (1.0 - KNEE_SHARE)
KNEE_DOWN: Final = KNEE_GAIN * KNEE_SHARE
KNEE_MIN: Final = 0.25
KNEE_MAX: Final = 8.0
EXCESS_MAX: Final = 30.0
EXCESS_SHARE_MIN: Final = 0.1  # of the knee: no tail is taken as lighter than that
EXCESS_GAIN: Final = 1.0 / 8.0
EXCESS_CLIP: Final = 100.0


@nb.njit(cache=True, nogil=True, inline="always")
def rarity(z: float, knee: float, excess: float) -> float:
    """How many e-folds rare z is; strictly increasing, linear on both sides of the knee."""
    if z <= knee:
        return KNEE_EFOLDS * (z / knee)
    return KNEE_EFOLDS + (z - knee) / excess


@nb.njit(cache=True, nogil=True, inline="always")
def strangeness(efolds: float, knee: float, excess: float) -> float:
    """The z that is `efolds` rare: the inverse of `rarity` beyond the knee."""
    return knee + (efolds - KNEE_EFOLDS) * excess


@nb.njit(cache=True, nogil=True, inline="always")
def next_knee(z: float, knee: float, weight: float) -> float:
    """The knee after a reading of strangeness z that counts `weight` (0 … 1)."""
    if z > knee:
        return min(knee + knee * (KNEE_UP * weight), KNEE_MAX)
    return max(knee - knee * (KNEE_DOWN * weight), KNEE_MIN)


@nb.njit(cache=True, nogil=True, inline="always")
def next_excess(z: float, knee: float, excess: float, weight: float) -> float:
    """The mean excess after a reading beyond the knee; a monster counts as EXCESS_CLIP times the mean."""
    over = min(z - knee, EXCESS_CLIP * excess)
    learnt = excess + (over - excess) * (EXCESS_GAIN * weight)
    return min(max(learnt, EXCESS_SHARE_MIN * knee), EXCESS_MAX)
