"""What can be set, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.templates.format import RECOGNISED, Format, declared

DICTIONARY_MAX: Final = 5_000
TEMPLATE_CHARACTERS_MAX: Final = 2_000
NAMED_MAX: Final = 10_000
"""Devices with a zone, and applications with a format."""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`learn_h`: hours of logs before anything is judged. `false_alarms_per_month`: what a healthy device may
    cost, from which all limits follow. `hold_h`: how long what is strange stays out of what is learnt.
    `dictionary`: templates that are known without having been learnt, with `<*>` for what varies. `timezone`:
    of stamps that name none, by IANA name, empty to find it out; `timezones` by device. `formats`: of lines
    that are not recognised, by application, that of all others under an empty name."""

    learn_h: float = 168.0
    false_alarms_per_month: float = 0.5
    hold_h: float = 24.0
    dictionary: tuple[str, ...] = ()
    timezone: str = ""
    timezones: dict[str, str] = {}
    formats: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not 0.0 <= self.learn_h <= 10_000.0:
            raise ValueError("learn_h must be 0 to 10000")
        if not 0.001 <= self.false_alarms_per_month <= 100.0:
            raise ValueError("false_alarms_per_month must be 0.001 to 100")
        if not 1.0 <= self.hold_h <= 10_000.0:
            raise ValueError("hold_h must be 1 to 10000")
        longest = max(map(len, self.dictionary), default=0)
        if len(self.dictionary) > DICTIONARY_MAX or longest > TEMPLATE_CHARACTERS_MAX:
            raise ValueError(
                f"dictionary must have at most {DICTIONARY_MAX} templates "
                f"of {TEMPLATE_CHARACTERS_MAX} characters"
            )
        self._check_reading()

    def _check_reading(self) -> None:
        if max(len(self.timezones), len(self.formats)) > NAMED_MAX:
            raise ValueError(f"timezones and formats must have at most {NAMED_MAX} names")
        for where, name in (("timezone", self.timezone), *self.timezones.items()):
            if name and name not in _zones():
                raise ValueError(f"{where}: {name!r} is no time zone; names look like Europe/Berlin or UTC")
        for application, text in self.formats.items():
            try:
                declared(text)
            except InvalidInputError as error:
                raise ValueError(f"formats: {application or 'all others'}: {error.detail}") from error

    def zone_of(self, device: str) -> tzinfo | None:
        """The zone of a device's stamps that name none, None where it is to be found out."""
        name = self.timezones.get(device, self.timezone)
        return _zone(name) if name else None

    def format_of(self, application: str) -> Format:
        """How an application's lines are to be read."""
        text = self.formats.get(application, self.formats.get("", ""))
        return declared(text) if text else RECOGNISED


@cache
def _zones() -> frozenset[str]:
    """Names of the pinned tzdata package; the system's zones may differ and are not asked."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@cache
def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offset_ms(zone: tzinfo, at_ms: int) -> int:
    """What clocks on the wall are ahead of UTC at a time.

    >>> offset_ms(_zone("Europe/Berlin"), 1_782_000_000_000) // 3_600_000
    2
    """
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def settings_of(config: Mapping[str, object]) -> LogSettings:
    """The settings; ValueError names what is wrong."""
    known = LogSettings.__struct_fields__
    for key in config:
        if key not in known:
            raise ValueError(f"no such key: {key}; there are: {', '.join(known)}")
    try:
        return msgspec.convert(dict(config), LogSettings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
