"""The bounded queue between submitters and the one writer thread."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tocsin import threads
from tocsin.errors import BackpressureError
from tocsin.fairness import FairQueue
from tocsin.log.abstract import Append, Appended

_ROW_BYTES: Final = 256  # what a record, answer or dead letter costs besides its bytes
SHARED_GROUP_BYTES: Final = 256 << 10
_RECENT: Final = 64


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
    """Holds at most `queue_bytes_max`, except that an empty queue takes any one append.

    Tenants take turns by bytes; the appends of each stay in order. Whoever comes waits for the group that is
    being written, so groups are small while there are others to wait: at most SHARED_GROUP_BYTES when the
    last appends were of several tenants, else `group_bytes_max`.
    """

    def __init__(self, queue_bytes_max: int, group_bytes_max: int) -> None:
        self._queue_bytes_max = queue_bytes_max
        self._group_bytes_max = group_bytes_max
        self._waiting = FairQueue[Pending]()
        self._left: Pending | None = None  # taken, but too large for its group
        self._recent: deque[str] = deque(maxlen=_RECENT)
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
            if self._bytes and self._bytes + pending.size_bytes > self._queue_bytes_max:
                raise BackpressureError("the log's queue is full: send more slowly", retry_after_s=1)
            self._waiting.put(append.tenant, pending.size_bytes, pending)
            self._recent.append(append.tenant)
            self._bytes += pending.size_bytes
            self._changed.notify()
        return pending.future

    def take(self) -> list[Pending]:
        """Block for the next group, what it may hold or one append; empty once closed and drained."""
        with self._changed:
            while not self._bytes and not self._closed:
                self._changed.wait()
            group = self._group()
            self._bytes -= sum(pending.size_bytes for pending in group)
            return group

    def _group(self) -> list[Pending]:
        shared = len(set(self._recent)) > 1
        left_bytes = min(SHARED_GROUP_BYTES, self._group_bytes_max) if shared else self._group_bytes_max
        group: list[Pending] = []
        while (pending := self._left or self._waiting.take()) is not None:
            self._left = pending if group and pending.size_bytes > left_bytes else None
            if self._left is not None:
                break
            group.append(pending)
            left_bytes -= pending.size_bytes
        return group

    def close(self) -> None:
        """Refuse what comes from now on; what waits is still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
