"""What a part of the demo needs to go on at its next start: a small file, replaced as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from tocsin.errors import CorruptError

Told = TypeVar("Told", bound=msgspec.Struct)


def load_story(path: Path, kind: type[Told]) -> Told | None:
    """What was saved, None at the first start; CorruptError if it is not what the demo wrote."""
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{path} is not what the demo wrote: {error}; choose another --data") from error


def save_story(path: Path, story: msgspec.Struct) -> None:
    """Replace the file; a process that is killed meanwhile leaves the one before."""
    draft = path.with_suffix(".part")
    draft.write_bytes(msgspec.json.encode(story))
    draft.replace(path)
