"""Which settings of detectors can be used: asked before any is logged, and again of what a log has.

A configuration that can't be used is refused. A log is history: what it has and can't be used is left out,
so that the detector's default acts, in every replay alike.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.control import Settings
from tocsin.detectors.abstract import SeriesDetector
from tocsin.detectors.registry import detector
from tocsin.errors import InvalidInputError

_CANNOT_RECKON: Final = (InvalidInputError, ArithmeticError, ValueError)


def unusable(settings: Settings) -> list[InvalidInputError]:
    """What can't be used of a tenant's settings for detectors, sorted; each names its field."""
    found: list[InvalidInputError] = []
    for name in sorted(settings.detectors):
        try:
            kind = detector(name)
        except InvalidInputError as error:
            found.append(InvalidInputError(error.detail, field=f"detectors.{name}"))
            continue
        found += kind.faults(settings).values() or _refusals(kind, settings)
    return found


def usable(kind: SeriesDetector, settings: Settings) -> Settings:
    """The settings without what this detector can't use: those overrides, or all if their sum fails it."""
    name = kind.info.name
    overrides = settings.detectors.get(name)
    if not overrides:
        return settings
    faults = kind.faults(settings)
    kept = {key: value for key, value in overrides.items() if key not in faults}
    tidied = _with(settings, name, kept) if faults else settings
    return _with(settings, name, {}) if _refusals(kind, tidied) else tidied


def _refusals(kind: SeriesDetector, settings: Settings) -> list[InvalidInputError]:
    """What the detector itself says to settings with right names and bounds; for any parameter."""
    try:
        kind.settings_row(settings, "")
    except _CANNOT_RECKON as error:
        field = f"detectors.{kind.info.name}"
        return [InvalidInputError(f"detector {kind.info.name} can't use its settings: {error}", field=field)]
    return []


def _with(settings: Settings, name: str, overrides: dict[str, float]) -> Settings:
    return msgspec.structs.replace(settings, detectors={**settings.detectors, name: overrides})
