"""What a tenant's devices are watched by: the part of the configuration that changes verdicts.

It never reaches the processor directly: at the start, what differs from the last control record becomes
a new one (control.SettingsChanged), so that a replay sees the same settings at the same place.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata, resources
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tocsin.control import DumpDetectorRule, DumpRules, Policy, Range, Settings


@cache
def _zones() -> frozenset[str]:
    """Names of the pinned tzdata package; the system's zones may differ and are not asked."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@cache
def _tzdata() -> str:
    """The version of the pinned tzdata package; reading it anew parses a file."""
    return metadata.version("tzdata")


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is no time zone; names look like Europe/Berlin or UTC")
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, values: Any) -> Any:
        if isinstance(values, dict) and any(isinstance(value, bool) for value in values.values()):
            raise ValueError("has yes or no where another kind of value belongs")
        return values


class PolicyConfig(_Part):
    """When a run of abnormal readings is an episode, and when that is over."""

    open_after_s: int = Field(
        default=300,
        ge=0,
        le=604_800,
        description="Seconds that readings must stay abnormal before an episode opens.",
    )
    open_readings: int = Field(
        default=3,
        ge=1,
        le=10_000,
        description="Abnormal readings that there must be before an episode opens.",
    )
    close_after_s: int = Field(
        default=300,
        ge=0,
        le=604_800,
        description="Seconds since the last abnormal reading before an episode ends.",
    )
    close_readings: int = Field(
        default=3,
        ge=1,
        le=10_000,
        description="Normal readings in a row that there must be before an episode ends.",
    )


class RangeConfig(_Part):
    """What is physically possible for a parameter."""

    lower: Number | None = Field(
        default=None, description="Least possible value, in the parameter's unit. None: no bound."
    )
    upper: Number | None = Field(
        default=None, description="Greatest possible value, in the parameter's unit. None: no bound."
    )
    unit: str = Field(default="", max_length=32, description="Unit shown to people, such as °C.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower ({self.lower}) must be below upper ({self.upper})")
        return self


class DumpRulesConfig(_Part):
    """How the dumps of a device are put in order."""

    gap_wait_s: int = Field(
        default=25_200,
        ge=60,
        le=2_592_000,
        description="Seconds that a missing dump is waited for while later ones are there. Longer than the "
        "longest time between two dumps.",
    )
    silence_times: float = Field(
        default=2,
        ge=0,
        le=1_000,
        description="How many times the longest usual time at that hour of the day a device's logs may stay "
        "away, dumps or lines. 0: their silence is not told.",
    )
    silence_min_s: int = Field(
        default=3_600,
        ge=60,
        le=2_592_000,
        description="Seconds that logs of any device may stay away, however often they come.",
    )


class DumpDetectorConfig(_Part):
    """A dump detector in force."""

    application: str = Field(
        default="", max_length=256, description="Only dumps of this application are shown. Empty: all."
    )
    version: str = Field(
        default="",
        max_length=64,
        description="Version that must be installed. Empty: the one that is, noted at the start.",
    )
    config: dict[str, Any] = Field(default={}, description="What the detector's `setup` is given.")


class WatchConfig(_Part):
    """How devices are watched. A change becomes a control record, and replays see it in its place."""

    timezone: Zone = Field(
        default="UTC", description="Time zone (IANA name) of devices that `timezones` does not name."
    )
    timezones: dict[str, Zone] = Field(default={}, description="Time zone by device: device → IANA name.")
    detectors: dict[str, dict[str, Number]] = Field(
        default={"seasonal": {}, "health": {}},
        description="Detectors that run: name → overrides of its declared parameters, in their units.",
    )
    policy: PolicyConfig = PolicyConfig()
    parameters: dict[str, RangeConfig] = Field(
        default={}, description="Physical range and unit by parameter: name → `lower`, `upper`, `unit`."
    )
    silence_intervals: float = Field(
        default=20, ge=2, le=10_000, description="Typical intervals that a device may be silent."
    )
    silence_min_s: int = Field(
        default=900,
        ge=1,
        le=2_592_000,
        description="Seconds that any device may be silent, however often it sends.",
    )
    dumps: DumpRulesConfig = DumpRulesConfig()
    dump_detectors: dict[str, DumpDetectorConfig] = Field(
        default={},
        description="Dump detectors in force, by name (`logs` is built in, others have an entry point): "
        "name → `application`, `version`, `config`.",
    )

    def settings(self) -> Settings:
        """The same as a control record carries it, with the version of the zone data in force."""
        return Settings(
            timezone=self.timezone,
            timezones=dict(self.timezones),
            tzdata=_tzdata(),
            detectors={name: dict(overrides) for name, overrides in self.detectors.items()},
            policy=Policy(**self.policy.model_dump()),
            parameters={name: Range(**part.model_dump()) for name, part in self.parameters.items()},
            silence_intervals=self.silence_intervals,
            silence_min_s=self.silence_min_s,
            dumps=DumpRules(**self.dumps.model_dump()),
            dump_detectors={
                name: DumpDetectorRule(**part.model_dump()) for name, part in self.dump_detectors.items()
            },
        )
