"""A fleet that has a past and goes on in real time: what the demo shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from tocsin.simulate.faults import Fault, FaultKind, plan_faults
from tocsin.simulate.fleet import DAY_MS, Fleet, Quantity
from tocsin.simulate.simulator import Arrivals, Simulator

_MINUTE_MS: Final = 60_000
_LIVE_KINDS: Final = (
    FaultKind.LEVEL_SHIFT,
    FaultKind.STUCK,
    FaultKind.NOISE,
    FaultKind.SILENCE,
    FaultKind.SPIKE,
)
_FAULTS_A_STATION_MONTH: Final = 6.0
_SHIFT_DEVIATIONS: Final = 15.0


class LiveFleet:
    """History that ends at `now_ms`, with a level shift in its last minutes, then the present.

    The shift begins `fault_minutes` before now and lasts for two hours, in the first quantity of the last
    station. It leads away from the day's mean, so that even a detector that knows no hours yet, after a
    day or two of history, can see it at any time of the day. More faults follow, planned day by day.
    Everything depends on the fleet and `now_ms` alone: made again with the same two, it gives the same
    events, so that a stopped run can go on.
    """

    def __init__(self, fleet: Fleet, now_ms: int, *, days: float = 14.0, fault_minutes: float = 12.0) -> None:
        self.fleet = fleet
        self.start_ms: Final = now_ms - round(days * DAY_MS)
        self.now_ms: Final = now_ms
        self.fault: Final = Fault(
            kind=FaultKind.LEVEL_SHIFT,
            station=fleet.stations - 1,
            from_ms=now_ms - round(fault_minutes * _MINUTE_MS),
            to_ms=now_ms + 120 * _MINUTE_MS,
            quantity=0,
            size=math.copysign(_SHIFT_DEVIATIONS, _daily_season(fleet.quantities[0], now_ms)),
        )
        self._simulator = Simulator(fleet, [self.fault], self.start_ms)
        self._planned_ms = now_ms + 10 * _MINUTE_MS
        self._days_planned = 0

    def until(self, until_ms: int, *, events: int = 200_000) -> Iterator[Arrivals]:
        """What arrives before `until_ms` and was not given before, in pieces of about `events`."""
        # A fault has to be known before its time is simulated, and steps are simulated a little ahead.
        while self._planned_ms < until_ms + self.fleet.interval_ms + _MINUTE_MS:
            self._plan_day()
        yield from self._simulator.chunks(until_ms, events=events)

    def _plan_day(self) -> None:
        self._days_planned += 1
        end_ms = self._planned_ms + DAY_MS
        faults = plan_faults(
            self.fleet,
            _LIVE_KINDS,
            self._planned_ms,
            end_ms,
            per_station_month=_FAULTS_A_STATION_MONTH,
            key=self._days_planned,
        )
        self._simulator.add_faults(faults)
        self._planned_ms = end_ms


def _daily_season(quantity: Quantity, at_ms: int) -> float:
    """Between -1 (the day's lowest) and 1."""
    day = (at_ms % DAY_MS) / DAY_MS
    return math.cos(2 * math.pi * (day - quantity.daily_peak_h / 24))
