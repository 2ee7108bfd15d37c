"""Settings with the versions of dump detectors that are installed, as they go into control records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tocsin.control import DumpDetectorRule, Settings
from tocsin.dump_detectors.installed import VersionOf, installed_version
from tocsin.errors import InvalidInputError


class InForce:
    """`settings_of` gives a tenant's settings as configured, with versions or without. Thread-safe.

    `version_of` is as `installed_version`.
    """

    def __init__(
        self, settings_of: Callable[[str], Settings], version_of: VersionOf = installed_version
    ) -> None:
        self._settings_of: Final = settings_of
        self._version_of: Final = version_of
        self._installed: dict[bytes, str] = {}

    def __call__(self, tenant: str) -> Settings:
        """The settings with every version named; asks a detector once for each configuration.

        InvalidInputError where another version is installed than is configured, or none, or where the
        detector refuses its configuration.
        """
        settings = self._settings_of(tenant)
        if not settings.dump_detectors:
            return settings
        rules = {name: self._named(name, rule) for name, rule in settings.dump_detectors.items()}
        return msgspec.structs.replace(settings, dump_detectors=rules)

    def _named(self, name: str, rule: DumpDetectorRule) -> DumpDetectorRule:
        asked = msgspec.json.encode((name, rule.config), order="deterministic")
        if asked not in self._installed:
            self._installed[asked] = self._version_of(name, rule.config)
        version = self._installed[asked]
        if rule.version not in {"", version}:
            raise InvalidInputError(
                f"dump_detectors: {name}: version {rule.version} is configured, {version} is installed",
                field="dump_detectors",
            )
        return msgspec.structs.replace(rule, version=version)
