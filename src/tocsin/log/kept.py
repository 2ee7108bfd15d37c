"""What outlives its segment: the answers of the last 24 hours and the newest dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tocsin.errors import CorruptError
from tocsin.log.abstract import StoredDeadLetter
from tocsin.log.bounds import DeadLetterBounds
from tocsin.log.rows import Answer, Row, answer_of, dead_letter_of
from tocsin.log.segment import Segment
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import verify_rows
from tocsin.storage.writer import Writer

SCRIPTS: Final = load_scripts("tocsin.log", "kept")
_SQL: Final = SCRIPTS.queries
_CHUNK_ROWS: Final = 2_000

Stopping = Callable[[], bool]
"""Whether to leave off as soon as possible."""


class KeptStore:
    """Answers and dead letters of settled segments. Thread-safe.

    `settled` is the number of the last segment whose answers and dead letters are in here, `trimmed`
    that of the last one that is deleted or about to be. `dropped` counts the dead letters that were
    settled and went for newer ones.
    """

    def __init__(self, path: Path, tuning: Tuning, bounds: DeadLetterBounds) -> None:
        self._path = path
        self._bounds = bounds
        self._writer = Writer(path, SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        self.settled: int
        self.trimmed: int
        self.dropped: int
        self.settled, self.trimmed, self.dropped = self._rows("settled", ())[0]

    def settle(self, segment: Segment, expired_ms: int, stopping: Stopping) -> bool:
        """Take over what a sealed segment holds, synced; forget answers to what arrived before `expired_ms`.

        In small transactions, so that it can leave off (False) and begin again. Rows are copied with
        their hashes, which are checked when somebody reads them.
        """
        left_out = self._copy(segment, expired_ms, stopping)
        self.forget(expired_ms, stopping)
        for tenant in segment.dead_letter_tenants():
            self._drop(tenant, stopping)
        if stopping():
            return False
        with self._writer.transaction() as writer:
            writer.execute(_SQL["add_dropped"], (left_out,))
            writer.execute(_SQL["set_settled"], (segment.number,))
        self.settled = segment.number
        self.dropped += left_out
        return True

    def _copy(self, segment: Segment, expired_ms: int, stopping: Stopping) -> int:
        """Copy answers and dead letters; how many of these were left out since they are too many."""
        self._add("add_answer", segment.answer_rows(expired_ms), stopping)
        left_out = 0
        for tenant in segment.dead_letter_tenants():
            last, surplus = segment.surplus(tenant, self._bounds)
            left_out += surplus
            self._add("add_dead_letter", segment.dead_letter_rows(tenant, last), stopping)
        return left_out

    def _add(self, query: str, rows: Iterator[Row], stopping: Stopping) -> None:
        for first in rows:
            if stopping():
                return
            with self._writer.transaction() as writer:
                writer.execute(_SQL[query], first)
                writer.executemany(_SQL[query], islice(rows, _CHUNK_ROWS))

    def forget(self, expired_ms: int, stopping: Stopping) -> None:
        """Let answers to what arrived before `expired_ms` go, in small transactions."""
        gone = True
        while gone and not stopping():
            with self._writer.transaction() as writer:
                writer.execute(_SQL["forget_answers"], (expired_ms, _CHUNK_ROWS))
                gone = bool(writer.changes())

    def _drop(self, tenant: str, stopping: Stopping) -> None:
        """Let the tenant's oldest dead letters go until the rest is within bounds."""
        last = self._rows("surplus", (tenant, self._bounds.letters_max, self._bounds.bytes_max))[0][0]
        gone = last > 0
        while gone and not stopping():
            with self._writer.transaction() as writer:
                writer.execute(_SQL["drop_dead_letters"], (tenant, last, _CHUNK_ROWS))
                count = writer.changes()
                writer.execute(_SQL["add_dropped"], (count,))
            self.dropped += count
            gone = count > 0

    def mark_trimmed(self, segment: int) -> None:
        """From now on the files of segments up to this one are refuse, also after a crash; synced."""
        with self._writer.transaction() as writer:
            writer.execute(_SQL["set_trimmed"], (segment,))
        self.trimmed = segment

    def find_answer(self, tenant: str, producer: str, sequence: str) -> Answer | None:
        """The answer, whatever its age."""
        rows = self._rows("find_answer", (tenant, producer, sequence))
        return answer_of(rows[0], self._path.name) if rows else None

    def answer_bytes(self) -> Counter[str]:
        """What the answers in here weigh, by tenant."""
        return Counter(dict(self._rows("answer_bytes", ())))

    def dead_letters(self, tenant: str, after_id: int, limit: int) -> list[StoredDeadLetter]:
        """As Log.dead_letters, of settled segments."""
        rows = self._rows("dead_letters", (tenant, after_id, limit))
        return [dead_letter_of(row, self._path.name) for row in rows]

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words."""
        return verify_rows(
            self._readers,
            self._path.name,
            {
                "all_answers": answer_of,
                "all_dead_letters": dead_letter_of,
                "answer_bytes_counted": _check_answer_bytes,
            },
            _SQL,
        )

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(_SQL[query], values))


def _check_answer_bytes(row: Row, place: str) -> None:
    tenant, kept, counted = row
    if kept != counted:
        raise CorruptError(f"{place}: the answers of tenant {tenant!r} weigh {counted} bytes, not {kept}")
