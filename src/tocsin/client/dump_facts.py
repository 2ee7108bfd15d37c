"""What is known of a dump besides its bytes: a file `SEQUENCE.json` beside `SEQUENCE.zip`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.errors import InvalidInputError

_KEYS: Final = ("application", "version", "collected_from", "collected_to")


@dataclass(frozen=True, slots=True)
class DumpFacts:
    """What the device runs, and the times (RFC 3339) between which its lines are; empty where unknown."""

    application: str = ""
    version: str = ""
    collected_from: str = ""
    collected_to: str = ""

    def said(self) -> dict[str, str]:
        """What is known, by the names that the server has for it."""
        return {key: text for key in _KEYS if (text := getattr(self, key))}


def told_of(archive: Path, application: str = "", version: str = "") -> DumpFacts:
    """What the file beside the archive says, else what is given; InvalidInputError if it says it wrongly."""
    path = archive.with_suffix(".json")
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        return DumpFacts(application, version)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} can't be read: {error}", field="folder") from error
    if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
        raise InvalidInputError(f"{path} must be an object of texts", field="folder")
    if unknown := said.keys() - set(_KEYS):
        raise InvalidInputError(f"{path} says {min(unknown)!r}; there are {', '.join(_KEYS)}", field="folder")
    return DumpFacts(**({"application": application, "version": version} | said))
