"""What a simulated fleet is: stations that all measure the same quantities, at the same interval."""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.errors import InvalidInputError

DAY_MS: Final = 86_400_000


def _require(condition: bool, field: str, remedy: str) -> None:
    if not condition:
        raise InvalidInputError(f"{field} {remedy}", field=field)


class Quantity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured quantity: value = mean + own level + seasons + noise + walk, rounded to `decimals`.

    `daily` and `weekly` are amplitudes in the quantity's unit, largest at `daily_peak_h` (UTC) and on
    `weekly_peak_day` (Monday = 0, noon). Noise is AR(1) with coefficient `phi` from sample to sample and
    standard deviation `deviation`. The walk's next point is the mean of its last `walk_points` points
    plus a normal step of `walk_step` deviations, then pulled back to the distribution by the share
    `recalibration`. `level_spread` is the standard deviation, in deviations, of the stations' own levels.
    """

    name: str
    mean: float
    deviation: float
    daily: float = 0.0
    daily_peak_h: float = 15.0
    weekly: float = 0.0
    weekly_peak_day: float = 2.0
    phi: float = 0.9
    walk_points: int = 10
    walk_step: float = 0.1
    recalibration: float = 0.02
    level_spread: float = 1.0
    decimals: int = 2

    def __post_init__(self) -> None:
        _require(self.deviation >= 0, "deviation", "must not be negative")
        _require(-1 < self.phi < 1, "phi", "must lie between -1 and 1, or the noise never settles")
        _require(1 <= self.walk_points <= 1000, "walk_points", "must be 1 to 1000")
        _require(0 <= self.recalibration <= 1, "recalibration", "is a share: 0 (never) to 1 (at once)")
        _require(0 <= self.decimals <= 9, "decimals", "must be 0 to 9")


DEFAULT_QUANTITIES: Final = (
    Quantity(name="temperature", mean=21.0, deviation=0.8, daily=3.0, weekly=0.8),
    Quantity(name="humidity", mean=48.0, deviation=2.5, daily=6.0, daily_peak_h=4.0, weekly=1.5, decimals=1),
    Quantity(
        name="noise_level", mean=52.0, deviation=3.0, daily=8.0, daily_peak_h=13.0, weekly=4.0, decimals=1
    ),
)


class Fleet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stations` devices that send all quantities together every `interval_s`.

    A stamp lies up to `jitter_s` behind its place in the grid, and an event arrives `latency_s` plus up
    to `latency_spread_s` after it was measured. `seed` alone decides every random number: the same fleet
    gives the same events, however they are fetched.
    """

    stations: int = 25
    quantities: tuple[Quantity, ...] = DEFAULT_QUANTITIES
    interval_s: float = 60.0
    jitter_s: float = 0.5
    latency_s: float = 0.1
    latency_spread_s: float = 0.3
    seed: int = 1
    device_prefix: str = "station-"
    application: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        _require(1 <= self.stations <= 1 << 20, "stations", "must be 1 to 1,048,576")
        _require(len(self.quantities) >= 1, "quantities", "must name at least one")
        _require(len(set(self.names)) == len(self.quantities), "quantities", "must have different names")
        _require(self.interval_s >= 0.001, "interval_s", "must be at least a millisecond")
        _require(self.seed >= 0, "seed", "must not be negative")
        slack_s = self.interval_s - self.jitter_s - self.latency_spread_s
        _require(
            min(self.jitter_s, self.latency_s, self.latency_spread_s) >= 0 and slack_s > 0,
            "interval_s",
            "must exceed jitter_s + latency_spread_s (none negative), or stations overtake themselves",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the quantities."""
        return tuple(quantity.name for quantity in self.quantities)

    @property
    def interval_ms(self) -> int:
        return round(self.interval_s * 1000)

    def device(self, station: int) -> str:
        """The name of a station, padded so that names sort as numbers do.

        >>> Fleet(stations=25).device(7)
        'station-07'
        """
        width = len(str(self.stations - 1))
        return f"{self.device_prefix}{station:0{width}d}"
