"""Templates with their ids, and how two sets of them differ."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import xxhash

from tocsin.errors import InvalidInputError

FORMAT: Final = "tocsin-templates/1"
FILE_BYTES_MAX: Final = 64 << 20


class Template(msgspec.Struct, frozen=True):
    """A template: the hash of its masked text, the text, and how many lines had it."""

    id: str
    template: str
    lines: int


class Difference(msgspec.Struct, frozen=True):
    """Templates that only one of two dictionaries has."""

    new: list[Template]
    vanished: list[Template]


class Dictionary(msgspec.Struct, frozen=True):
    """Templates by id; `version` is a hash of the ids, so equal dictionaries have one version."""

    format: str
    version: str
    templates: list[Template]

    def compared(self, before: Dictionary) -> Difference:
        """What is new in this one, and what of `before` is not in it."""
        own, old = ({each.id for each in some.templates} for some in (self, before))
        return Difference(
            [each for each in self.templates if each.id not in old],
            [each for each in before.templates if each.id not in own],
        )

    def write(self, path: Path) -> None:
        """As JSON, one template a line."""
        rows = b",\n".join(msgspec.json.encode(each) for each in self.templates)
        head = msgspec.json.encode({"format": self.format, "version": self.version})[:-1]
        path.write_bytes(head + b',"templates":[\n' + rows + b"\n]}\n")


def template_id(template: str) -> str:
    """The id of a masked text: xxh3_64 of its bytes, as 16 hexadecimal digits."""
    return xxhash.xxh3_64_hexdigest(template.encode())


def dictionary_of(counts: Iterable[tuple[str, int]]) -> Dictionary:
    """A dictionary of templates and their lines, those with the most lines first."""
    templates = [Template(template_id(text), text, lines) for text, lines in counts]
    templates.sort(key=lambda each: (-each.lines, each.id))
    ids = "\n".join(sorted(each.id for each in templates))
    return Dictionary(FORMAT, xxhash.xxh3_128_hexdigest(ids.encode()), templates)


def read_dictionary(path: Path) -> Dictionary | None:
    """The dictionary in a file, None if the file is none; InvalidInputError for a damaged one."""
    with path.open("rb") as file:
        start = file.read(len(FORMAT) + 16)
        if FORMAT.encode() not in start:
            return None
        raw = start + file.read(FILE_BYTES_MAX)
    try:
        found = msgspec.json.decode(raw, type=Dictionary)
    except msgspec.DecodeError as error:
        raise InvalidInputError(f"{path} is no whole dictionary of templates: {error}") from error
    made = dictionary_of((each.template, each.lines) for each in found.templates)
    if found.format != FORMAT or made.version != found.version or made.templates != found.templates:
        raise InvalidInputError(f"{path}: its ids or its version are not those of its templates")
    return found
