"""Settings with the versions of dump detectors that are installed, as they go into control records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tocsin.control import DumpDetectorRule, Settings
from tocsin.dump_detectors.installed import Answer, AskVersion, ask_installed
from tocsin.errors import InvalidInputError


class InForce:
    """`settings_of` gives a tenant's settings as configured, with versions or without. Thread-safe.

    `ask_version` is as `ask_installed`.
    """

    def __init__(
        self, settings_of: Callable[[str], Settings], ask_version: AskVersion = ask_installed
    ) -> None:
        self._settings_of: Final = settings_of
        self._ask_version: Final = ask_version
        self._installed: dict[bytes, str] = {}
        self._asking: dict[bytes, Answer] = {}

    def ask(self, settings: Settings) -> None:
        """Begin to find out the versions that these settings need: does not wait for them."""
        for name, rule in settings.dump_detectors.items():
            asked = _asked(name, rule)
            if asked not in self._installed and asked not in self._asking:
                self._asking[asked] = self._ask_version(name, rule.config)

    def __call__(self, tenant: str) -> Settings:
        """The settings with every version named; asks a detector once for each configuration.

        InvalidInputError where another version is installed than is configured, or none, or where the
        detector refuses its configuration.
        """
        settings = self._settings_of(tenant)
        if not settings.dump_detectors:
            return settings
        self.ask(settings)
        rules = {name: self._named(name, rule) for name, rule in settings.dump_detectors.items()}
        return msgspec.structs.replace(settings, dump_detectors=rules)

    def _named(self, name: str, rule: DumpDetectorRule) -> DumpDetectorRule:
        asked = _asked(name, rule)
        if asked not in self._installed:
            answer = self._asking.pop(asked, None) or self._ask_version(name, rule.config)
            self._installed[asked] = answer()
        version = self._installed[asked]
        if rule.version not in {"", version}:
            raise InvalidInputError(
                f"dump_detectors: {name}: version {rule.version} is configured, {version} is installed",
                field="dump_detectors",
            )
        return msgspec.structs.replace(rule, version=version)


def _asked(name: str, rule: DumpDetectorRule) -> bytes:
    return msgspec.json.encode((name, rule.config), order="deterministic")
