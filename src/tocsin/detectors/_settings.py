"""What detectors make of a tenant's settings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tocsin.control import Settings
from tocsin.detectors.abstract import Rows, SeriesDetector
from tocsin.errors import InvalidInputError


def settings_row(detector: SeriesDetector, settings: Settings) -> tuple[Rows, dict[str, float]]:
    """A zeroed row with the watch of the policy filled in, and the detector's parameters by name."""
    row = np.zeros(1, detector.settings_dtype)
    row["watch_ms"] = settings.policy.close_after_s * 1000
    row["watch_readings"] = settings.policy.close_readings
    return row, values_of(detector, settings.detectors.get(detector.info.name, {}))


def values_of(detector: SeriesDetector, overrides: Mapping[str, float]) -> dict[str, float]:
    """Declared defaults under the tenant's overrides; an unknown name raises InvalidInputError."""
    declared = detector.info.parameters
    for name in overrides:
        if name not in declared:
            known = ", ".join(sorted(declared))
            raise InvalidInputError(
                f"detector {detector.info.name} has no parameter {name!r}; it has {known}",
                field=f"detectors.{detector.info.name}.{name}",
            )
    return {name: float(overrides.get(name, declared[name].default)) for name in declared}
