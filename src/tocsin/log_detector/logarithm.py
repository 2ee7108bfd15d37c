"""The natural logarithm and its inverse by + − × ÷ alone, so that every machine comes to the same bits."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LN_2: Final = 0.6931471805599453
_TERMS: Final = 12


def ln(values: Floats | float) -> Floats:
    """Of numbers above 0, off by some last bits; what is 0 counts as the smallest normal number.

    >>> [round(float(x), 12) for x in ln(np.array([1.0, 2.0, 10.0]))]
    [0.0, 0.69314718056, 2.302585092994]
    """
    mantissa, exponent = np.frexp(np.maximum(np.asarray(values, np.float64), 2.3e-308))
    low = mantissa < 0.70710678
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    share = (mantissa - 1.0) / (mantissa + 1.0)
    square = share * share
    total = np.zeros_like(share)
    for term in range(2 * _TERMS - 1, 0, -2):  # the series of the inverse hyperbolic tangent
        total = total * square + 1.0 / term
    return (exponent - low) * LN_2 + 2.0 * share * total


def ln_of(value: float) -> float:
    """Of one number."""
    return float(ln(value))


def exp_of(value: float) -> float:
    """The inverse, for −1 to 0.

    >>> round(exp_of(ln_of(0.85)), 12), exp_of(0.0)
    (0.85, 1.0)
    """
    total = 1.0
    for term in range(20, 0, -1):
        total = 1.0 + value / term * total
    return total
