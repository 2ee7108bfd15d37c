"""A few read connections to one database, lent to one thread at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tocsin import threads
from tocsin.storage.database import Tuning, open_reader
from tocsin.storage.faults import storage_faults


class Readers:
    """Keeps at most `idle_max` connections open between uses. Thread-safe."""

    def __init__(self, path: Path, tuning: Tuning, *, idle_max: int = 2) -> None:
        self._path = path
        self._tuning = tuning
        self._idle_max = idle_max
        self._idle: list[apsw.Connection] = []
        self._lock = threads.lock()

    @contextmanager
    def lend(self) -> Iterator[apsw.Connection]:
        """A connection for the block alone; its errors come out as Tocsin's."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = open_reader(self._path, self._tuning)
        try:
            with storage_faults(str(self._path)):
                yield connection
        finally:
            self._give_back(connection)

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

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if len(self._idle) < self._idle_max:
                self._idle.append(connection)
                return
        connection.close()
