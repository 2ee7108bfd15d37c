"""Whether the detectors that a configuration names can use what it sets; apart, since it loads them all."""

from __future__ import annotations

from tocsin.config.errors import ConfigError
from tocsin.config.sections import Config
from tocsin.detectors.usable import unusable


def check_detectors(config: Config) -> None:
    """ConfigError naming every detector and parameter of any tenant that can't be used.

    To be asked before settings are logged: what is in the log acts in every replay.
    """
    watches = {"watch": config.watch} | {f"tenants.{name}": part for name, part in config.tenants.items()}
    faults = [(place, fault) for place, watch in watches.items() for fault in unusable(watch.settings())]
    if faults:
        lines = [f"{place}.{fault.field}: {fault.detail}" for place, fault in faults]
        raise ConfigError("\n".join(lines), field=f"{faults[0][0]}.{faults[0][1].field}")
