"""Turns a group of appends into rows and answers, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tocsin.errors import RateLimitedError, TocsinError
from tocsin.log.abstract import Append, Appended, Record, StoredDeadLetter
from tocsin.log.answers import AnswerBook
from tocsin.log.group_commit import Pending
from tocsin.log.rows import Answer, answer_bytes
from tocsin.log.segment import Group


class Plan:
    """What a group will add, with `ends` and `last_dead_letter` as they will be after it."""

    def __init__(self, ends: Sequence[int], last_dead_letter: int, book: AnswerBook) -> None:
        self.ends = list(ends)
        self.last_dead_letter = last_dead_letter
        self.outcomes: list[tuple[Pending, Appended | TocsinError]] = []
        self.records: list[Record] = []
        self.size_bytes = 0
        self.dead_letters: list[StoredDeadLetter] = []
        self.crowded = False  # somebody had no room for another answer
        self._answer_bytes: Counter[str] = Counter()
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self._book = book

    def add(self, pending: Pending) -> None:
        """Decide what becomes of one append: new, repeated or in conflict with an earlier one."""
        try:
            outcome = self._repeat(pending.append) or self._accept(pending)
        except TocsinError as error:  # of this append alone: in conflict, or the answer to it is damaged
            self.outcomes.append((pending, error))
        else:
            self.outcomes.append((pending, outcome))

    def group(self) -> Group:
        """The rows to write."""
        return Group(self.records, tuple(self._answers.values()), self.dead_letters, self.size_bytes)

    def _repeat(self, append: Append) -> Appended | None:
        if not append.producer and not append.sequence:
            return None
        key = (append.tenant, append.producer, append.sequence)
        earlier = self._answers.get(key) or self._book.find(*key)
        if earlier is None:
            return None
        earlier.check(append.fingerprint)
        return Appended(earlier.answer, True, earlier.offsets)

    def _accept(self, pending: Pending) -> Appended:
        append = pending.append
        if append.producer or append.sequence:
            self._require_room(append)
        offsets = tuple(self._place(append))
        self.size_bytes += pending.size_bytes
        for letter in append.dead_letters:
            self.last_dead_letter += 1
            self.dead_letters.append(StoredDeadLetter(self.last_dead_letter, letter))
        if append.producer or append.sequence:
            key = (append.tenant, append.producer, append.sequence)
            self._answers[key] = Answer.to(append, offsets)
        return Appended(append.answer, False, offsets)

    def _require_room(self, append: Append) -> None:
        """RateLimitedError, before anything is placed, if the tenant has no room for another answer."""
        size = answer_bytes(Answer.to(append, tuple(range(len(append.parts)))))
        try:
            self._book.require_room(append.tenant, self._answer_bytes[append.tenant] + size)
        except RateLimitedError:
            self.crowded = True
            raise
        self._answer_bytes[append.tenant] += size

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
