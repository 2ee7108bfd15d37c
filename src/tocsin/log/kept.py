"""What outlives its segment: the answers of the last 24 hours and all dead letters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tocsin.log.abstract import StoredDeadLetter
from tocsin.log.rows import Answer, answer_of, answer_row, dead_letter_of, dead_letter_row
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import verify_rows
from tocsin.storage.writer import Writer

SCRIPTS: Final = load_scripts("tocsin.log", "kept")
_SQL: Final = SCRIPTS.queries


class KeptStore:
    """Answers and dead letters of settled segments. Thread-safe.

    `settled` is the number of the last segment whose answers and dead letters are in here, `trimmed`
    that of the last one that is deleted or about to be.
    """

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self._path = path
        self._writer = Writer(path, SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        self.settled, self.trimmed = self._rows("settled", ())[0]

    def settle(
        self, segment: int, answers: Iterable[Answer], letters: Iterable[StoredDeadLetter], expired_ms: int
    ) -> None:
        """Take over what `segment` holds and forget answers that arrived before `expired_ms`; synced."""
        with self._writer.transaction() as writer:
            writer.executemany(_SQL["add_answer"], (answer_row(answer) for answer in answers))
            writer.executemany(_SQL["add_dead_letter"], (dead_letter_row(letter) for letter in letters))
            writer.execute(_SQL["forget_answers"], (expired_ms,))
            writer.execute(_SQL["set_settled"], (segment,))
        self.settled = segment

    def mark_trimmed(self, segment: int) -> None:
        """From now on the files of segments up to this one are refuse, also after a crash; synced."""
        with self._writer.transaction() as writer:
            writer.execute(_SQL["set_trimmed"], (segment,))
        self.trimmed = segment

    def find_answer(self, tenant: str, producer: str, sequence: str) -> Answer | None:
        """The answer, whatever its age."""
        rows = self._rows("find_answer", (tenant, producer, sequence))
        return answer_of(rows[0], self._path.name) if rows else None

    def dead_letters(self, tenant: str, after_id: int, limit: int) -> list[StoredDeadLetter]:
        """As Log.dead_letters, of settled segments."""
        rows = self._rows("dead_letters", (tenant, after_id, limit))
        return [dead_letter_of(row, self._path.name) for row in rows]

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words."""
        return verify_rows(
            self._readers,
            self._path.name,
            {"all_answers": answer_of, "all_dead_letters": dead_letter_of},
            _SQL,
        )

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(_SQL[query], values))
