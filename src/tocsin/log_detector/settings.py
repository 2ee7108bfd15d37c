"""What can be set, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

DICTIONARY_MAX: Final = 5_000
TEMPLATE_CHARACTERS_MAX: Final = 2_000


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`learn_h`: hours of logs before anything is judged. `false_alarms_per_month`: what a healthy device may
    cost, from which all limits follow. `hold_h`: how long what is strange stays out of what is learnt.
    `dictionary`: templates that are known without having been learnt, with `<*>` for what varies."""

    learn_h: float = 168.0
    false_alarms_per_month: float = 0.5
    hold_h: float = 24.0
    dictionary: tuple[str, ...] = ()

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
