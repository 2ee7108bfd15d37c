"""How detectors are found."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from tocsin.detectors import registry
from tocsin.detectors.seasonal import Seasonal
from tocsin.errors import InvalidInputError


class Neighbour(Seasonal):
    """What another package might bring."""

    info = Seasonal.info.__class__(
        **{name: getattr(Seasonal.info, name) for name in Seasonal.info.__slots__} | {"name": "neighbour"}
    )


class Impostor(Seasonal):
    """Another package's detector under a name that is taken."""


def _bring(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    entry = EntryPoint(kind.lower(), f"{__name__}:{kind}", registry.ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[kind])
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.detectors.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    registry.detectors.cache_clear()


def test_the_projects_own_detectors_are_found_by_their_files() -> None:
    """A file in the package is enough."""
    assert {"health", "seasonal"} <= set(registry.detectors())


def test_a_package_brings_a_detector_as_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package needs no change here."""
    _bring(monkeypatch, "Neighbour")
    assert isinstance(registry.detector("neighbour"), Neighbour)


def test_two_detectors_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would depend on the order of files which one judges."""
    _bring(monkeypatch, "Impostor")
    with pytest.raises(InvalidInputError, match="two detectors are called 'seasonal'"):
        registry.detectors()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """The remedy is in the message."""
    with pytest.raises(InvalidInputError, match=r"no detector 'seasonl'; known are .*seasonal"):
        registry.detector("seasonl")
