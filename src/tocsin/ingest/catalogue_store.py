"""Where a catalogue survives a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tocsin.ingest.catalogue_entries import Entries, decode_entries, encode_entries
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row, row_hash
from tocsin.storage.scripts import load_scripts
from tocsin.storage.writer import Writer

_SCRIPTS: Final = load_scripts("tocsin.ingest", "catalogue")
_QUERIES: Final = _SCRIPTS.queries


class CatalogueStore:
    """A SQLite file of its own, only ever added to, in the order in which things became known."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self._writer = Writer(path, _SCRIPTS, Tuning(vfs=vfs))

    def add(self, entries: Sequence[Entries]) -> None:
        """Durable on return, all of them or none."""
        payloads = [encode_entries(entry) for entry in entries]
        with self._writer.transaction() as writer:
            writer.executemany(_QUERIES["add"], [(payload, row_hash((payload,))) for payload in payloads])

    def read(self) -> Iterator[Entries]:
        """All entries in the order they were added; CorruptError when a row was altered."""
        with self._writer.transaction() as writer:
            for sequence, *row in writer.execute(_QUERIES["read"]):
                (payload,) = check_row(tuple(row), f"entry {sequence} of the catalogue")
                yield decode_entries(payload)

    def replace(self, entries: Sequence[Entries]) -> None:
        """Keep these instead of all that there are, so that opening stays quick."""
        payloads = [encode_entries(entry) for entry in entries]
        with self._writer.transaction() as writer:
            writer.execute(_QUERIES["clear"])
            writer.executemany(_QUERIES["add"], [(payload, row_hash((payload,))) for payload in payloads])

    def close(self) -> None:
        """Close; idempotent."""
        self._writer.close()
