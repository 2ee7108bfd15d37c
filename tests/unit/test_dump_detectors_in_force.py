"""What is in force is what is installed: found out at the start, not at each device's next dump."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dump_detector_kit import install
from tests.dump_steps_kit import module
from tocsin.control import DumpDetectorRule, Settings
from tocsin.dump_detectors.in_force import InForce
from tocsin.dump_detectors.installed import Answer, ask_installed
from tocsin.errors import InvalidInputError


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, module("7"))


def in_force(rule: DumpDetectorRule, name: str = "counting") -> Settings:
    """The settings of a tenant with this detector."""
    return InForce(lambda _: Settings(dump_detectors={name: rule}))("acme")


def test_the_installed_version_is_named() -> None:
    """So that the log says which it was."""
    assert in_force(DumpDetectorRule()).dump_detectors == {"counting": DumpDetectorRule(version="7")}
    assert (
        in_force(DumpDetectorRule(version="7", config={"add": 1})).dump_detectors["counting"].version == "7"
    )


def test_a_configuration_may_be_large() -> None:
    """It does not have to fit into the words of a command, where others could read it too."""
    rule = DumpDetectorRule(config={"add": "x" * (1 << 20)})
    assert in_force(rule).dump_detectors["counting"].version == "7"


def test_what_was_asked_ahead_is_asked_once() -> None:
    """A start asks while it opens its stores, and the answer is there when it is needed."""
    begun: list[str] = []

    def ask(name: str, config: Mapping[str, Any]) -> Answer:
        begun.append(name)
        return ask_installed(name, config)

    settings = Settings(dump_detectors={"counting": DumpDetectorRule()})
    asking = InForce(lambda _: settings, ask)
    asking.ask(settings)
    asking.ask(settings)
    assert begun == ["counting"]
    assert [asking(tenant).dump_detectors["counting"].version for tenant in ("acme", "other")] == ["7", "7"]
    assert begun == ["counting"]


def test_without_detectors_nothing_is_asked() -> None:
    """Settings without any are what they were."""
    assert InForce(lambda _: Settings())("acme") == Settings()


@pytest.mark.parametrize(
    ("name", "rule", "reason"),
    [
        ("counting", DumpDetectorRule(version="8"), "version 8 is configured, 7 is installed"),
        ("counting", DumpDetectorRule(config={"ad": 1}), "counting: its configuration is refused: unknown"),
        ("nowhere", DumpDetectorRule(), "there is no dump detector 'nowhere'"),
    ],
)
def test_what_cannot_run_is_refused(name: str, rule: DumpDetectorRule, reason: str) -> None:
    """With what is wrong, before any device is stopped by it."""
    with pytest.raises(InvalidInputError, match=reason):
        in_force(rule, name)
