"""The list of damaged files, kept beside the tables, so that a new process knows them at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from tocsin.errors import CorruptError
from tocsin.lake.files import publish

QUARANTINE_FILE: Final = "quarantine.json"


class Damage(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A file that is not as it was written; `path` is relative to the table's folder."""

    table: str
    path: str
    problem: str


def quarantined(folder: Path) -> list[Damage]:
    """The damaged files of a lake as they were last written down."""
    path = folder / QUARANTINE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Damage])
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(
            f"{path} can't be read: delete it, `tocsin lake check` finds damaged files again ({error})"
        ) from error


def write_quarantined(folder: Path, damaged: Iterable[Damage]) -> None:
    """Replace the list, synced, where it changes."""
    path, wanted = folder / QUARANTINE_FILE, msgspec.json.encode(sorted(damaged))
    if wanted != (path.read_bytes() if path.exists() else b"[]"):
        publish(path, wanted)
