"""Turns a group of appends into rows and answers, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.errors import ConflictError
from tocsin.log.abstract import Append, Appended, Record, StoredDeadLetter
from tocsin.log.answers import AnswerBook
from tocsin.log.group_commit import Pending
from tocsin.log.rows import Answer
from tocsin.log.segment import Group


class Plan:
    """What a group will add, with `ends` and `last_dead_letter` as they will be after it."""

    def __init__(self, ends: Sequence[int], last_dead_letter: int, book: AnswerBook) -> None:
        self.ends = list(ends)
        self.last_dead_letter = last_dead_letter
        self.outcomes: list[tuple[Pending, Appended | ConflictError]] = []
        self.records: list[Record] = []
        self.size_bytes = 0
        self.dead_letters: list[StoredDeadLetter] = []
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self._book = book

    def add(self, pending: Pending) -> None:
        """Decide what becomes of one append: new, repeated or in conflict with an earlier one."""
        append = pending.append
        earlier = self._earlier(append)
        if earlier is None:
            self.outcomes.append((pending, self._accept(append, pending.size_bytes)))
            return
        try:
            earlier.check(append.fingerprint)
        except ConflictError as error:
            self.outcomes.append((pending, error))
        else:
            self.outcomes.append((pending, Appended(earlier.answer, True, earlier.offsets)))

    def group(self) -> Group:
        """The rows to write."""
        return Group(self.records, tuple(self._answers.values()), self.dead_letters, self.size_bytes)

    def _earlier(self, append: Append) -> Answer | None:
        if not append.producer and not append.sequence:
            return None
        key = (append.tenant, append.producer, append.sequence)
        return self._answers.get(key) or self._book.find(*key)

    def _accept(self, append: Append, size_bytes: int) -> Appended:
        offsets = tuple(self._place(append))
        self.size_bytes += size_bytes
        for letter in append.dead_letters:
            self.last_dead_letter += 1
            self.dead_letters.append(StoredDeadLetter(self.last_dead_letter, letter))
        if append.producer or append.sequence:
            key = (append.tenant, append.producer, append.sequence)
            self._answers[key] = Answer.to(append, offsets)
        return Appended(append.answer, False, offsets)

    def _place(self, append: Append) -> list[int]:
        offsets = []
        for part in append.parts:
            offset = self.ends[part.partition]
            record = Record(
                part.partition, offset, part.count, part.kind, append.tenant, append.arrival_ms, part.payload
            )
            self.records.append(record)
            self.ends[part.partition] = record.next_offset
            offsets.append(offset)
        return offsets
