"""What outlives its segment: the answers of the last 24 hours and all dead letters."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tocsin.log.abstract import StoredDeadLetter
from tocsin.log.rows import Answer, answer_of, answer_row, dead_letter_of, dead_letter_row
from tocsin.storage.database import Tuning, migrate, open_database
from tocsin.storage.faults import storage_faults
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts

_SCRIPTS: Final = load_scripts("tocsin.log", "kept")
_SQL: Final = _SCRIPTS.queries


class KeptStore:
    """Answers and dead letters of settled segments. Thread-safe.

    `settled` is the number of the last segment whose answers and dead letters are in here, `trimmed`
    that of the last one that is deleted or about to be.
    """

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writer = open_database(path, tuning)
        with storage_faults(str(path)):
            migrate(self._writer, _SCRIPTS)
            self.settled, self.trimmed = self._writer.execute(_SQL["settled"]).get
        self._readers = Readers(path, tuning)

    def settle(
        self, segment: int, answers: Iterable[Answer], letters: Iterable[StoredDeadLetter], expired_ms: int
    ) -> None:
        """Take over what `segment` holds and forget answers that arrived before `expired_ms`; synced."""
        with self._lock, storage_faults(str(self._path)), self._writer:
            self._writer.executemany(_SQL["add_answer"], (answer_row(answer) for answer in answers))
            self._writer.executemany(_SQL["add_dead_letter"], (dead_letter_row(letter) for letter in letters))
            self._writer.execute(_SQL["forget_answers"], (expired_ms,))
            self._writer.execute(_SQL["set_settled"], (segment,))
        self.settled = segment

    def mark_trimmed(self, segment: int) -> None:
        """From now on the files of segments up to this one are refuse, also after a crash; synced."""
        with self._lock, storage_faults(str(self._path)), self._writer:
            self._writer.execute(_SQL["set_trimmed"], (segment,))
        self.trimmed = segment

    def find_answer(self, tenant: str, producer: str, sequence: str) -> Answer | None:
        """The answer, whatever its age."""
        rows = self._rows("find_answer", (tenant, producer, sequence))
        return answer_of(rows[0], self._path.name) if rows else None

    def dead_letters(self, tenant: str, after_id: int, limit: int) -> list[StoredDeadLetter]:
        """As Log.dead_letters, of settled segments."""
        rows = self._rows("dead_letters", (tenant, after_id, limit))
        return [dead_letter_of(row, self._path.name) for row in rows]

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(_SQL[query], values))
