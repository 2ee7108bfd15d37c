"""The short questions: which readings were abnormal lately, and how many."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import InvalidInputError
from tocsin.scores.abstract import AbnormalReading, AbnormalReadings
from tocsin.services.sight import Sight

LATEST_COUNT: Final = 10
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RANGE: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)


class OutlierCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many abnormal readings lie in after_ms < ts ≤ through_ms."""

    count: int
    after_ms: int
    through_ms: int


def range_ms(text: str) -> int:
    """Milliseconds in a time range of minutes, hours or days; InvalidInputError for anything else.

    >>> range_ms("5m"), range_ms("4h"), range_ms("30d")
    (300000, 14400000, 2592000000)
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InvalidInputError(
            "The time range is a positive whole number and m, h or d, such as 5m, 4h or 30d.",
            field="time_range",
        )
    return int(match[1]) * _UNIT_MS[match[2]]


class ShortQuestions:
    """Speaks of readings, not of anomalies: one long anomaly is many abnormal readings."""

    def __init__(self, abnormal: AbnormalReadings, clock: Clock, sight: Sight) -> None:
        self._sight = sight
        self._abnormal = abnormal
        self._clock = clock

    def latest(self, principal: Principal) -> list[AbnormalReading]:
        """The ten newest abnormal readings, newest first."""
        require(principal, Permission.READ)
        devices = self._sight.devices(principal)
        return self._abnormal.latest(principal.tenant, devices=devices, limit=LATEST_COUNT)

    def count(self, principal: Principal, time_range: str, at_ms: int | None) -> OutlierCount:
        """Abnormal readings in the range that ends at `at_ms` (None = now)."""
        require(principal, Permission.READ)
        through_ms = self._clock.now_ms() if at_ms is None else at_ms
        after_ms = through_ms - range_ms(time_range)
        count = self._abnormal.count(
            principal.tenant,
            after_ms=after_ms,
            through_ms=through_ms,
            devices=self._sight.devices(principal),
        )
        return OutlierCount(count=count, after_ms=after_ms, through_ms=through_ms)
