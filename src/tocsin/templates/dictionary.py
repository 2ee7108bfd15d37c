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


class Dictionary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Templates by id; `version` is a hash of the ids, so equal dictionaries have one version.

    A `partial` one holds what is to be expected and is silent about the rest: it was taught template by
    template. To another one, what is not in it is new.
    """

    format: str
    version: str
    templates: list[Template]
    partial: bool = False

    def compared(self, before: Dictionary) -> Difference:
        """What is new in this one, and what of `before` is not in it."""
        own, old = ({each.id for each in some.templates} for some in (self, before))
        return Difference(
            [each for each in self.templates if each.id not in old],
            [each for each in before.templates if each.id not in own],
        )

    def with_templates(self, texts: Iterable[str]) -> Dictionary:
        """This one and these, of which no lines were counted; itself if it has them all."""
        known = {each.template for each in self.templates}
        added = [text for text in dict.fromkeys(texts) if text not in known]
        counts = [(each.template, each.lines) for each in self.templates] + [(text, 0) for text in added]
        return dictionary_of(counts, partial=self.partial) if added else self

    def to_json(self) -> bytes:
        """One template a line; equal dictionaries give equal bytes."""
        rows = b",\n".join(msgspec.json.encode(each) for each in self.templates)
        head = {"format": self.format, "version": self.version} | ({"partial": True} if self.partial else {})
        return msgspec.json.encode(head)[:-1] + b',"templates":[\n' + rows + b"\n]}\n"

    def write(self, path: Path) -> None:
        """As JSON, one template a line."""
        path.write_bytes(self.to_json())


def template_id(template: str) -> str:
    """The id of a masked text: xxh3_64 of its bytes, as 16 hexadecimal digits."""
    return xxhash.xxh3_64_hexdigest(template.encode())


def dictionary_of(counts: Iterable[tuple[str, int]], *, partial: bool = False) -> Dictionary:
    """A dictionary of templates and their lines, those with the most lines first."""
    templates = [Template(template_id(text), text, lines) for text, lines in counts]
    templates.sort(key=lambda each: (-each.lines, each.id))
    ids = "\n".join([*sorted(each.id for each in templates), *(["partial"] if partial else [])])
    return Dictionary(FORMAT, xxhash.xxh3_128_hexdigest(ids.encode()), templates, partial)


def read_dictionary(path: Path) -> Dictionary | None:
    """The dictionary in a file, None if the file is none; InvalidInputError for a damaged one."""
    with path.open("rb") as file:
        start = file.read(len(FORMAT) + 16)
        if FORMAT.encode() not in start:
            return None
        raw = start + file.read(FILE_BYTES_MAX)
    return parse_dictionary(raw, str(path))


def parse_dictionary(raw: bytes, name: str) -> Dictionary:
    """The dictionary in these bytes, which errors call by this name; InvalidInputError for anything else."""
    try:
        found = msgspec.json.decode(raw, type=Dictionary)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{name} is no whole dictionary of templates: {error}") from error
    made = dictionary_of(((each.template, each.lines) for each in found.templates), partial=found.partial)
    if found.format != FORMAT or made.version != found.version or made.templates != found.templates:
        raise InvalidInputError(f"{name}: its ids or its version are not those of its templates")
    return found
