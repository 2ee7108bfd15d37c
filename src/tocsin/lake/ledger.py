"""Remembers, synced, up to which version each table of the lake is on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import xxhash

from tocsin.errors import CorruptError
from tocsin.lake.files import publish

FORMAT: Final = 1


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """The last synced version of a table and of its newest synced checkpoint (-1 = none).

    `writers` names all writers that ever committed to it; how far they got stands in the table's log,
    which can be asked about a writer but does not list them. `entries` has the hash of every file of that log
    since the checkpoint, by name; it is empty where an older Tocsin wrote last.
    """

    version: int
    checkpoint: int = -1
    writers: tuple[str, ...] = ()
    entries: dict[str, str] = {}


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    tables: dict[str, Synced]
    hash: str = ""


class Ledger:
    """A small file, replaced as a whole. What a table's log holds beyond it was never acknowledged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.exists: Final = path.exists()
        self._tables: dict[str, Synced] = _read(path) if self.exists else {}

    def get(self, table: str) -> Synced | None:
        """What is synced of a table; None = it was never created."""
        return self._tables.get(table)

    def record(self, changes: dict[str, Synced]) -> None:
        """Replace entries; durable on return."""
        tables = {**self._tables, **changes}
        content = _Content(format=FORMAT, tables=tables)
        signed = msgspec.structs.replace(content, hash=_hash(content))
        publish(self._path, msgspec.json.encode(signed))
        self._tables = tables


def _read(path: Path) -> dict[str, Synced]:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path} can't be read: restore it from a backup of the lake ({error})") from error
    if content.format != FORMAT:
        raise CorruptError(f"{path} has format {content.format}, this version knows {FORMAT}: upgrade Tocsin")
    if content.hash != _hash(msgspec.structs.replace(content, hash="")):
        raise CorruptError(f"{path} does not match its checksum: restore it from a backup of the lake")
    return content.tables


def _hash(content: _Content) -> str:
    plain = msgspec.to_builtins(content)
    for table in plain["tables"].values():
        if not table["entries"]:  # as it was before there were any
            del table["entries"]
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(plain, order="sorted"))
