"""Which dead letters have been sent again; beside the log, whose rows never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import verify_rows
from tocsin.storage.writer import Writer

_SCRIPTS: Final = load_scripts("tocsin.services", "replays")
_QUERIES: Final = _SCRIPTS.queries


class Replays:
    """Marks in SQLite, one file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(path, _SCRIPTS, Tuning())
        self._readers = Readers(path, Tuning())

    def mark(self, tenant: str, letter: int, now_ms: int) -> None:
        """Remember that the line was accepted at last; the first time counts. Durable on return."""
        with self._writer.transaction() as writer:
            values = {"tenant": tenant, "letter": letter, "replayed_ms": now_ms}
            writer.execute(_QUERIES["mark"], values)

    def marked(self, tenant: str, first: int, last: int) -> Mapping[int, int]:
        """When the letters with ids first … last were accepted, for those that were."""
        with self._readers.lend() as reader:
            wanted = {"tenant": tenant, "first": first, "last": last}
            rows: list[Any] = reader.execute(_QUERIES["marked"], wanted).fetchall()
        return dict(rows)

    def verify(self) -> list[str]:
        """What is wrong with the file, in words; reads all of it."""
        return verify_rows(self._readers, "replays.db", {}, _QUERIES)

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()
