"""What detectors make of a tenant's settings."""

from __future__ import annotations

import numpy as np

from tocsin.control import Settings
from tocsin.detectors.abstract import Rows, SeriesDetector


def settings_row(detector: SeriesDetector, settings: Settings) -> tuple[Rows, dict[str, float]]:
    """A zeroed row with the watch of the policy filled in, and the detector's parameters by name."""
    row = np.zeros(1, detector.settings_dtype)
    row["watch_ms"] = settings.policy.close_after_s * 1000
    row["watch_readings"] = settings.policy.close_readings
    return row, detector.values_of(settings)
