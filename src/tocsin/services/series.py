"""Readings of a series with the band they were judged by, thin enough for a chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.control import FeedbackKind, kind_of
from tocsin.errors import InvalidInputError, NotFoundError
from tocsin.events import F64, I64, U8
from tocsin.model import FeedbackActed
from tocsin.services.devices import Fleet
from tocsin.services.places import Places
from tocsin.services.sight import Sight

CHARTS_MAX: Final = 16
"""How many charts are derived at once or wait for it; a tenant alone has half of them."""
NO_SERIES: Final = "There is no such series."
_DAYS: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
POINTS_MAX: Final = 5_000
DAY_MS: Final = 86_400_000
SPAN_MAX_MS: Final = 400 * DAY_MS
UnitOf = Callable[[str, str], str]
"""The unit of a tenant's parameter; empty if it has none."""


@dataclass(frozen=True, slots=True)
class Band:
    """Readings ascending in time, with what was expected of them; NaN where there was no band.

    `verdict` holds values of model.Verdict.
    """

    ts: I64
    value: F64
    expected: F64
    lower: F64
    upper: F64
    verdict: U8

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: I64) -> Band:
        """The readings at `rows`."""
        return Band(
            ts=self.ts[rows],
            value=self.value[rows],
            expected=self.expected[rows],
            lower=self.lower[rows],
            upper=self.upper[rows],
            verdict=self.verdict[rows],
        )


@dataclass(frozen=True, slots=True)
class MovedLimit:
    """Feedback that acts on a series: a detector's limits are `factor` times what they usually are."""

    application: str
    detector: str
    factor: float
    moved: FeedbackActed


class Bands(Protocol):
    """Derives verdicts again; the runtime offers it."""

    def band(self, tenant: str, device: str, parameter: str, from_ms: int, to_ms: int) -> Band:
        """All readings of the series with from_ms ≤ ts < to_ms; empty for a series nobody knows."""
        ...

    def moved_limits(self, tenant: str, device: str) -> Mapping[str, Sequence[MovedLimit]]:
        """Feedback on a device's series by parameter, of each by application and detector, oldest first.

        Goes through all series of the device.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows: `band` has at most the points asked for, out of `readings`."""

    from_ms: int
    to_ms: int
    readings: int
    band: Band
    unit: str = ""
    limits: Sequence[MovedLimit] = ()


class SeriesCharts:
    """Reads series of one tenant at a time; cost grows with the device's past, whatever the span."""

    def __init__(
        self, bands: Bands, fleet: Fleet, sight: Sight, unit_of: UnitOf = lambda _tenant, _parameter: ""
    ) -> None:
        self._bands = bands
        self._sight = sight
        self._fleet = fleet
        self._unit_of = unit_of
        self._places: Final = Places(CHARTS_MAX, "Too many charts are being drawn.")

    def chart(
        self,
        principal: Principal,
        device: str,
        parameter: str,
        *,
        from_ms: int | None = None,
        to_ms: int | None = None,
        points: int = 1000,
    ) -> Chart:
        """The series between two times, by default the day that ends with the device's newest record.

        NotFoundError for a series nobody knows, InvalidInputError for an empty or overlong span,
        BackpressureError where too many charts are asked for at once.
        """
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_SERIES)
        known = self._fleet.device(principal.tenant, device)
        if known is None or parameter not in known.parameters:
            raise NotFoundError(NO_SERIES)
        end_ms = known.last_ms + 1 if to_ms is None else to_ms
        start_ms = end_ms - DAY_MS if from_ms is None else from_ms
        if not 0 < end_ms - start_ms <= SPAN_MAX_MS:
            raise InvalidInputError("The span must be longer than nothing and at most 400 days.", field="to")
        with self._places.one(principal.tenant):
            band = self._bands.band(principal.tenant, device, parameter, start_ms, end_ms)
        unit = self.unit(principal, parameter)
        limits = self._bands.moved_limits(principal.tenant, device).get(parameter, ())
        return Chart(start_ms, end_ms, len(band), band.take(thin(band.value, points)), unit, limits)

    def acting(
        self, principal: Principal, device: str, parameters: Sequence[str]
    ) -> Sequence[tuple[str, MovedLimit, str]]:
        """Feedback in force on these series of a device, as (parameter, feedback, what it does)."""
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_SERIES)
        known = self._fleet.device(principal.tenant, device)
        if known is None:
            return []
        said = self._bands.moved_limits(principal.tenant, device)
        return [
            (name, each, told_of(each))
            for name in parameters
            for each in in_force(said.get(name, ()), known.last_ms)
        ]

    def unit(self, principal: Principal, parameter: str) -> str:
        """What the tenant reads the parameter's values in; empty if the configuration names nothing."""
        return self._unit_of(principal.tenant, parameter)


def in_force(said: Sequence[MovedLimit], last_ms: int) -> list[MovedLimit]:
    """What of it acts on the readings behind `last_ms`: of what moves limits the last, if they are raised."""
    moving = {(each.application, each.detector): each for each in said if not each.moved.kind}
    raised = [each for each in moving.values() if each.moved.steps]
    return [
        each
        for each in said
        if each in raised or (each.moved.kind and not 0 < each.moved.until_ms <= last_ms)
    ]


def told_of(limit: MovedLimit) -> str:
    """What feedback does, for people."""
    match kind_of(limit.moved):
        case FeedbackKind.CONFIRMED:
            return "confirmed, so what is abnormal is not learnt"
        case FeedbackKind.EXPECTED:
            return f"expected, so what is abnormal is learnt on {', '.join(week_hours(limit.moved.hours))}"
        case FeedbackKind.NEW_NORMAL:
            return "the new normal, learnt anew"
        case FeedbackKind.FALSE_ALARM | FeedbackKind.WITHDRAWN:
            return f"limits {limit.factor:g} times as high"


def week_hours(hours: Sequence[int]) -> list[str]:
    """Hours of the week in words, those in a row together.

    >>> week_hours([6, 7, 30]), week_hours(range(168))
    (['Mondays 6:00 to 8:00', 'Tuesdays 6:00 to 7:00'], ['every day'])
    """
    if len(hours) == 7 * 24:
        return ["every day"]
    found: list[tuple[int, int]] = []
    for hour in hours:
        if found and found[-1][1] == hour and hour % 24:
            found[-1] = found[-1][0], hour + 1
        else:
            found.append((hour, hour + 1))
    return [f"{_DAYS[first // 24]} {first % 24}:00 to {(last - 1) % 24 + 1}:00" for first, last in found]


def thin(value: F64, points: int) -> I64:
    """Rows that keep the shape of a curve: the lowest and highest of each of points/2 stretches.

    >>> thin(np.array([1.0, 9.0, 2.0, 2.0, 0.0, 3.0]), 4).tolist()
    [0, 1, 4, 5]
    """
    if len(value) <= points:
        return np.arange(len(value))
    edges = np.linspace(0, len(value), max(1, points // 2) + 1).astype(np.int64)
    kept = [
        start + row
        for start, end in pairwise(edges)
        for row in (value[start:end].argmin(), value[start:end].argmax())
    ]
    return np.unique(np.array(kept, np.int64))
