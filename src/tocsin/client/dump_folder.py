"""Dumps in a folder: `DEVICE/SEQUENCE.zip`, the device's name percent-encoded.

Of an epoch that is not the first: `DEVICE/EPOCH-SEQUENCE.zip`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tocsin.errors import InvalidInputError
from tocsin.visible import visible

_NUMBERED: Final = re.compile(r"(?:0*([0-9]{1,16})-)?0*([1-9][0-9]{0,15})\.zip", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class DumpFile:
    """A dump and whose it is; they sort by device, epoch and sequence."""

    device: str
    epoch: int
    sequence: int
    path: Path


def find_dumps(folder: Path, device: str = "") -> list[DumpFile]:
    """Every dump in the folder, sorted; with `device`, those that lie in it directly are all that device's.

    Other files are passed over, but InvalidInputError names a .zip that fits into neither form, two files
    with one sequence, or a folder without any dump.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is no folder", field="folder")
    found = sorted(_dump_of(folder, path, device) for path in folder.rglob("*.zip") if path.is_file())
    for one, two in pairwise(found):
        if (one.device, one.epoch, one.sequence) == (two.device, two.epoch, two.sequence):
            raise InvalidInputError(f"{one.path} and {two.path} have one sequence", field="folder")
    if not found:
        raise InvalidInputError(f"{folder} has no dumps: DEVICE/SEQUENCE.zip", field="folder")
    return found


def _dump_of(folder: Path, path: Path, device: str) -> DumpFile:
    parts = path.relative_to(folder).parts
    number = _NUMBERED.fullmatch(parts[-1])
    if number is None or len(parts) != (1 if device else 2):
        form = "SEQUENCE.zip" if device else "DEVICE/SEQUENCE.zip"
        raise InvalidInputError(f"{visible(str(path))} is not named {form}", field="folder")
    name = device or unquote(parts[0], errors="strict")
    return DumpFile(name, int(number[1] or 0), int(number[2]), path)
