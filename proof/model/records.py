"""What the model reads: the records of a log as plain values. Times are milliseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass, field

NEVER_MS = -(2**62)
"""Earlier than any time stamp."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as ingest wrote it; `live` and `clock_wrong` are what its clock said.

    `readings` are (parameter, value) in the order of the log; `texts` counts the fields that are no numbers.
    """

    partition: int
    offset: int
    tenant: str
    device: str
    application: str
    version: str
    ts: int
    live: bool
    clock_wrong: bool
    readings: tuple[tuple[str, float], ...]
    texts: int = 0


@dataclass(frozen=True, slots=True)
class LineCame:
    """A line of a log: it is counted, and no reading hangs on it."""

    partition: int
    offset: int
    tenant: str


@dataclass(frozen=True, slots=True)
class Settings:
    """A tenant's settings, as far as they change verdicts; the defaults are those of the product's docs."""

    timezone: str = "UTC"
    timezones: dict[str, str] = field(default_factory=dict)
    detectors: dict[str, dict[str, float]] = field(default_factory=lambda: {"seasonal": {}, "health": {}})
    ranges: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    open_after_s: int = 300
    open_readings: int = 3
    close_after_s: int = 300
    close_readings: int = 3
    silence_intervals: float = 20.0
    silence_min_s: int = 900
    gap_wait_s: int = 25_200
    logs_silence_times: float = 0.0
    logs_silence_min_s: int = 3_600
    dump_detectors: bool = False

    def timezone_of(self, device: str) -> str:
        """The zone of a device: its own, else that of all."""
        return self.timezones.get(device, self.timezone)


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """New settings of a tenant."""

    partition: int
    offset: int
    tenant: str
    effective_ms: int
    settings: Settings


@dataclass(frozen=True, slots=True)
class Tick:
    """A minute has passed."""

    partition: int
    offset: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Correct:
    """Derive these devices again from all their records before this one."""

    partition: int
    offset: int
    tenant: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep the readings of these devices, but do not score them; `released`: score them again."""

    partition: int
    offset: int
    tenant: str
    devices: tuple[str, ...]
    released: bool


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    """What a person said of series, which are named as (application, parameter, detector).

    In `spans` the anomaly was abnormal.
    """

    partition: int
    offset: int
    tenant: str
    device: str
    kind: str
    series: tuple[tuple[str, str, str], ...]
    action: int
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class MaintenanceSet:
    """A maintenance window of devices, from a stamp on; `no_alert` and `no_learn` are what it does."""

    partition: int
    offset: int
    tenant: str
    window: str
    effective_ms: int
    devices: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    no_alert: bool
    no_learn: bool = False


@dataclass(frozen=True, slots=True)
class DumpCame:
    """A dump was taken in; `outcome` is accepted, conflict or quarantined.

    It came at `received_ms` (0: nobody noted that) and says that it holds what was up to `upto_ms`.
    """

    partition: int
    offset: int
    tenant: str
    device: str
    epoch: int
    sequence: int
    sha256: str
    outcome: str
    application: str = ""
    version: str = ""
    upto_ms: int | None = None
    received_ms: int = 0


@dataclass(frozen=True, slots=True)
class GapGivenUp:
    """A device's dumps up to `last` are waited for no longer; later ones have waited for `waited_ms`."""

    partition: int
    offset: int
    tenant: str
    device: str
    epoch: int
    first: int
    last: int
    at_ms: int
    waited_ms: int


Record = (
    Event
    | LineCame
    | SettingsChanged
    | Tick
    | Correct
    | Quarantine
    | FeedbackGiven
    | MaintenanceSet
    | DumpCame
    | GapGivenUp
)
