"""A few read connections to one database, lent to one thread at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final

import apsw

from tocsin import threads
from tocsin.storage.database import Tuning, open_reader
from tocsin.storage.faults import storage_faults


class Readers:
    """Keeps at most `idle_max` connections open between uses. Thread-safe."""

    def __init__(self, path: Path, tuning: Tuning, *, idle_max: int = 2) -> None:
        self.place: Final = str(path)
        self._path = path
        self._tuning = tuning
        self._idle_max = idle_max
        self._idle: list[apsw.Connection] = []
        self._lock = threads.lock()

    def lend(self) -> _Loan:
        """A connection for a `with` block alone; its errors come out as Tocsin's."""
        return _Loan(self)

    def take(self) -> apsw.Connection:
        """A connection that must be given back."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        return open_reader(self._path, self._tuning) if connection is None else connection

    def give_back(self, connection: apsw.Connection) -> None:
        """Keep it for the next use, or close it when there are enough."""
        with self._lock:
            if len(self._idle) < self._idle_max:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle and keep nothing any more; connections that are lent close when given back."""
        self._idle_max = 0
        self.release()

    def release(self) -> None:
        """Close what is idle, to spare open files; the next use opens again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class _Loan:
    """A class, not a generator: most blocks hold one small statement."""

    __slots__ = ("_connection", "_faults", "_readers")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._faults = storage_faults(readers.place)

    def __enter__(self) -> apsw.Connection:
        self._connection = self._readers.take()
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._faults.__exit__(kind, error, trace)
        finally:
            self._readers.give_back(self._connection)
