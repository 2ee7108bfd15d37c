"""Opens a file of readings for a command, and tells how it is read before anything is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tocsin.cli.output import counted, note, warn
from tocsin.visible import visible

if TYPE_CHECKING:
    from tocsin.files import EventFile, Mapping, Report


_SHOWN_CHARACTERS: Final = 40


def open_described(
    path: Path | None,
    mapping: Mapping,
    *,
    kind: str | None,
    stream: IO[bytes] | None = None,
    logs: bool = False,
) -> EventFile:
    """The opened file, with `logs` one of log lines; what its columns are and what is odd goes to stderr."""
    from tocsin.files import open_events, open_log_lines

    events: EventFile
    if logs:
        events = open_log_lines(path, stream=stream)
    else:
        events = open_events(path, mapping, stream=stream, kind=kind)
    for text in (events.describe(), *events.notes):
        note(text)
    for text in events.warnings:
        warn(text)
    return events


def note_refused(report: Report) -> None:
    """Say where to look: the first rows that were refused for each reason, from 1, the header not counted."""
    for code, rows in report.examples.items():
        rest = report.refused[code] - len(rows)
        others = f" and {counted(rest, 'other')}" if rest else ""
        told = f"refused as {code}: row {', '.join(str(row + 1) for row in rows)}{others}"
        if code in report.cells:
            cell, column = report.cells[code]
            told += f", such as {visible(cell[:_SHOWN_CHARACTERS])!r} in {visible(column)!r}"
        note(told)
