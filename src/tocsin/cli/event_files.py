"""Opens a file of readings for a command, and tells how it is read before anything is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from tocsin.cli.output import note, warn

if TYPE_CHECKING:
    from tocsin.files import EventFile, Mapping


def open_described(
    path: Path | None, mapping: Mapping, *, kind: str | None, stream: IO[bytes] | None = None
) -> EventFile:
    """The opened file; which column is what, and what is odd about it, stands on stderr."""
    from tocsin.files import open_events

    events = open_events(path, mapping, stream=stream, kind=kind)
    for text in (events.describe(), *events.notes):
        note(text)
    for text in events.warnings:
        warn(text)
    return events
