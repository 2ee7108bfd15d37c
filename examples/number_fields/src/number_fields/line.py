"""What a statistic should be by now: a robust line with a daily wave, fitted to the window.

The line is Huber's (1964, as scikit-learn fits it), so that faults within the window hardly move it; the
deviation is 1.4826 times the median of the absolute residuals. The slope is there for counters.
"""

from __future__ import annotations

import math
import warnings
from typing import Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor

from number_fields.knowledge import LINE, Floats

MAD: Final = 1.4826  # of normal numbers: deviation over median absolute deviation
_EPSILON: Final = 1.35
_ALPHA: Final = 1e-3


def fitted(days: Floats, values: Floats, now_days: float) -> Floats:
    """The line through the values that are no NaN: at least three, else all of it is NaN.

    Where most values are equal, as those of coarse numbers are, the deviation is 0 and the line is flat.
    """
    line = np.full(LINE, np.nan)
    there = ~np.isnan(values)
    x, y = days[there], values[there]
    if len(y) < 3:
        return line
    centre = float(np.median(y))
    scale = MAD * float(np.median(np.abs(y - centre)))
    line[:] = (centre, 0.0, 0.0, 0.0, 0.0, now_days)
    if scale <= 1e-12 * max(1.0, abs(centre)):
        return line
    model = HuberRegressor(epsilon=_EPSILON, alpha=_ALPHA, max_iter=200)
    design = _design(x, now_days)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last step of the fit is good enough
        model.fit(design, (y - centre) / scale)
    residuals = (y - centre) / scale - (design @ model.coef_ + model.intercept_)
    deviation = MAD * float(np.median(np.abs(residuals)))
    line[0] = centre + scale * float(model.intercept_)
    line[1:4] = scale * model.coef_
    line[4] = scale * deviation * math.sqrt(len(y) / max(len(y) - 4, 1))
    return line


def expected(line: Floats, day: float) -> float:
    """Where the line lies at a moment."""
    return float(line[0] + _design(np.array([day]), line[5])[0] @ line[1:4])


def _design(days: Floats, now_days: float) -> Floats:
    turn = 2.0 * np.pi * days
    found: Floats = np.ascontiguousarray(np.column_stack([days - now_days, np.sin(turn), np.cos(turn)]))
    return found
