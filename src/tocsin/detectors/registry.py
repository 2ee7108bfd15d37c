"""Finds detectors: every public SeriesDetector in this package's files, then those of installed packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Final

import tocsin.detectors
from tocsin.detectors.abstract import SeriesDetector
from tocsin.errors import InvalidInputError

ENTRY_POINTS: Final = "tocsin.detectors"


@cache
def detectors() -> Mapping[str, SeriesDetector]:
    """All detectors by name, sorted; read once per process. Two with one name raise InvalidInputError."""
    found: dict[str, SeriesDetector] = {}
    for kind in _kinds():
        instance = kind()
        name = instance.info.name
        if name in found and type(found[name]) is not kind:
            raise InvalidInputError(f"two detectors are called {name!r}: {type(found[name])} and {kind}")
        found[name] = instance
    return MappingProxyType(dict(sorted(found.items())))


def detector(name: str) -> SeriesDetector:
    """The detector called `name`; an unknown name raises InvalidInputError that lists the known ones.

    >>> detector("seasonal").info.name
    'seasonal'
    """
    known = detectors()
    if name not in known:
        raise InvalidInputError(
            f"there is no detector {name!r}; known are {', '.join(known)}", field="detectors"
        )
    return known[name]


def _kinds() -> Iterator[type[SeriesDetector]]:
    for module in pkgutil.iter_modules(tocsin.detectors.__path__):
        if not module.name.startswith("_"):
            yield from _public(importlib.import_module(f"{tocsin.detectors.__name__}.{module.name}"))
    for entry in entry_points(group=ENTRY_POINTS):
        yield entry.load()


def _public(module: ModuleType) -> Iterator[type[SeriesDetector]]:
    for name, kind in vars(module).items():
        own = isinstance(kind, type) and kind.__module__ == module.__name__
        if (
            own
            and issubclass(kind, SeriesDetector)
            and kind is not SeriesDetector
            and not name.startswith("_")
        ):
            yield kind
