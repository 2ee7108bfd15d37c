"""The bounded queue between submitters and the one writer thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tocsin import threads
from tocsin.errors import BackpressureError
from tocsin.log.abstract import Append, Appended

_ROW_BYTES: Final = 256  # what a record, answer or dead letter costs besides its bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """An append that waits for its group."""

    append: Append
    size_bytes: int
    future: threads.Future[Appended] = field(default_factory=threads.future)


def append_bytes(append: Append) -> int:
    """What an append weighs in the queue, at least one row."""
    payload = sum(len(part.payload) for part in append.parts)
    letters = sum(len(letter.body) + len(letter.detail) for letter in append.dead_letters)
    rows = len(append.parts) + len(append.dead_letters) + 1
    return payload + letters + len(append.answer) + rows * _ROW_BYTES


class GroupQueue:
    """Holds at most `queue_bytes_max`, except that an empty queue takes any one append."""

    def __init__(self, queue_bytes_max: int, group_bytes_max: int) -> None:
        self._queue_bytes_max = queue_bytes_max
        self._group_bytes_max = group_bytes_max
        self._waiting: list[Pending] = []
        self._bytes = 0
        self._closed = False
        self._changed = threads.condition()

    @property
    def bytes(self) -> int:
        """What waits now."""
        return self._bytes

    def put(self, append: Append) -> threads.Future[Appended]:
        """Queue the append; BackpressureError when it does not fit or the queue is closed."""
        pending = Pending(append, append_bytes(append))
        pending.future.set_running_or_notify_cancel()  # a client that goes away can't take it back
        with self._changed:
            if self._closed:
                raise BackpressureError("the log is closing: try again when it is back", retry_after_s=5)
            if self._waiting and self._bytes + pending.size_bytes > self._queue_bytes_max:
                raise BackpressureError("the log's queue is full: send more slowly", retry_after_s=1)
            self._waiting.append(pending)
            self._bytes += pending.size_bytes
            self._changed.notify()
        return pending.future

    def take(self) -> list[Pending]:
        """Block for the next group, `group_bytes_max` or one append; empty once closed and drained."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            taken = taken_bytes = 0
            while taken < len(self._waiting):
                taken_bytes += self._waiting[taken].size_bytes
                if taken and taken_bytes > self._group_bytes_max:
                    break
                taken += 1
            group, self._waiting = self._waiting[:taken], self._waiting[taken:]
            self._bytes -= sum(pending.size_bytes for pending in group)
            return group

    def close(self) -> None:
        """Refuse what comes from now on; what waits is still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
