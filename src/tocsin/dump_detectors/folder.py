"""Dumps in a folder, as steps need them: what `tocsin upload` sends and `tocsin simulate dumps` writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from tocsin.client import DumpFile, find_dumps
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.errors import InvalidInputError

LIST: Final = "dumps.ndjson"


class _Listed(msgspec.Struct, frozen=True):
    """A line of the list that a folder may have: what the device said of a dump."""

    device: str
    sequence: int
    collected_from_ms: int | None = None
    collected_to_ms: int | None = None
    application: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class FolderDump:
    """One dump and what is known of it before its bytes are read."""

    file: DumpFile
    listed: _Listed

    @property
    def device(self) -> str:
        return self.file.device

    @property
    def sequence(self) -> int:
        return self.file.sequence

    @property
    def path(self) -> Path:
        return self.file.path

    def facts(self) -> DumpFacts:
        """Reads the whole file once, for its hash; OSError if it can't."""
        with self.path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return DumpFacts(
            sequence=self.sequence,
            sha256=sha256,
            collected_from_ms=self.listed.collected_from_ms,
            collected_to_ms=self.listed.collected_to_ms,
            application=self.listed.application,
            version=self.listed.version,
        )


def folder_dumps(folder: Path, devices: Sequence[str] = ()) -> dict[str, list[FolderDump]]:
    """The dumps of each device in order, of all devices or of those named.

    A folder that holds SEQUENCE.zip itself is one device's, which has to be named. `dumps.ndjson` in it says
    when dumps were collected; InvalidInputError for a line that it can't say so with.
    """
    flat = any(folder.glob("*.zip"))
    if flat and len(devices) != 1:
        raise InvalidInputError(
            f"{folder} holds dumps itself: name the device they are from with --device", field="device"
        )
    listed = _listed(folder / LIST)
    found: dict[str, list[FolderDump]] = {}
    for file in find_dumps(folder, devices[0] if flat else ""):
        if not devices or file.device in devices:
            known = listed.get((file.device, file.sequence))
            dump = FolderDump(file, known or _Listed(file.device, file.sequence))
            found.setdefault(file.device, []).append(dump)
    if missing := [device for device in devices if device not in found]:
        raise InvalidInputError(f"{folder} has no dumps of {missing[0]!r}", field="device")
    return found


def in_rounds(dumps: Mapping[str, Sequence[FolderDump]]) -> Iterator[list[FolderDump]]:
    """The next dump of every device, again and again: an order that does not depend on any clock."""
    for row in zip_longest(*dumps.values()):
        yield [dump for dump in row if dump is not None]


def _listed(path: Path) -> Mapping[tuple[str, int], _Listed]:
    if not path.is_file():
        return {}
    try:
        rows = [msgspec.json.decode(line, type=_Listed) for line in path.read_bytes().splitlines()]
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"{path} is no list of dumps: {error}", field="folder") from error
    return {(row.device, row.sequence): row for row in rows}
