"""Places for work that is done by so many at once, given in the order in which they were asked for."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final

from tocsin import threads


class InTurn:
    """To be entered with `with`. A semaphore gives its place to whoever looks first, and that is mostly who
    has just given it back: others would wait as long as two have much to do. Thread-safe.
    """

    def __init__(self, places: int) -> None:
        self._changed: Final = threads.condition()
        self._waiting: Final[deque[object]] = deque()
        self._free = places

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def __enter__(self) -> None:
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: self._free and self._waiting[0] is mine)
            self._waiting.popleft()
            self._free -= 1
            self._changed.notify_all()  # there may be a place for the next one too

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
