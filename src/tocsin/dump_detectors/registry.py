"""Finds detectors of dumps: Tocsin's own, and classes that installed packages announce by entry point."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from tocsin.dump_detectors.abstract import DumpDetector
from tocsin.errors import InvalidInputError

ENTRY_POINTS: Final = "tocsin.dump_detectors"
BUILT_IN: Final = (EntryPoint("logs", "tocsin.log_detector.detector:Logs", ENTRY_POINTS),)
"""Tocsin's own come through the door of other teams: by name, imported where steps run and nowhere else."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")


def names() -> list[str]:
    """All that are built in or announced by installed packages, sorted; nothing is imported."""
    return sorted({entry.name for entry in _entries()})


def dump_detector(name: str) -> type[DumpDetector]:
    """The class announced as `name`; imports its package, which may take seconds.

    InvalidInputError when there is none, when two packages announce the name, when it can't be imported,
    and when what is announced is no detector.
    """
    return load(_entry(name))


def require_known(name: str) -> None:
    """InvalidInputError when none is announced as `name`, or two packages announce it; imports nothing."""
    _entry(name)


def is_name(text: str) -> bool:
    """Whether a detector can be called so."""
    return _NAME.fullmatch(text) is not None


def load(entry: EntryPoint) -> type[DumpDetector]:
    """The class behind an entry point, checked."""
    try:
        kind = entry.load()
    except Exception as error:  # whatever another team's module raises when it is imported
        raise _wrong(entry, f"can't be imported: {type(error).__name__}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, DumpDetector)):
        raise _wrong(entry, "is no subclass of DumpDetector")
    missing = sorted(getattr(kind, "__abstractmethods__", ()))
    if missing:
        raise _wrong(entry, f"leaves out {', '.join(missing)}")
    check_words(kind)
    if kind.name != entry.name:
        raise _wrong(entry, f"calls itself {kind.name!r}, its entry point {entry.name!r}: make them equal")
    return kind


def check_words(kind: type[DumpDetector]) -> None:
    """InvalidInputError unless its name and version can be used as such."""
    for word, pattern in (("name", _NAME), ("version", _VERSION)):
        value = getattr(kind, word, None)
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            detail = f"{kind.__module__}.{kind.__qualname__} has the {word} {value!r}: it must be a text "
            raise InvalidInputError(f"{detail}that matches {pattern.pattern}", field=word)


def _entries() -> list[EntryPoint]:
    return [*BUILT_IN, *entry_points(group=ENTRY_POINTS)]


def _entry(name: str) -> EntryPoint:
    found = [entry for entry in _entries() if entry.name == name]
    if not found:
        known = ", ".join(names())
        raise InvalidInputError(
            f"there is no dump detector {name!r} (known: {known}); is its package installed in this Python?",
            field="detector",
        )
    if len({entry.value for entry in found}) > 1:
        owners = Counter(f"{entry.value} of {entry.dist.name if entry.dist else 'tocsin'}" for entry in found)
        raise InvalidInputError(
            f"two dump detectors are called {name!r}: {', '.join(sorted(owners))}; uninstall one",
            field="detector",
        )
    return found[0]


def _wrong(entry: EntryPoint, what: str) -> InvalidInputError:
    return InvalidInputError(f"the dump detector {entry.name!r} ({entry.value}) {what}", field="detector")
