"""The one connection of a store that writes, used by one thread at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tocsin import threads
from tocsin.errors import StorageUnavailableError
from tocsin.storage.database import MergeRule, Tuning, check_schema, merge, migrate, open_database
from tocsin.storage.faults import storage_faults
from tocsin.storage.scripts import Scripts


class Writer:
    """Opens the database, brings its schema up to date, and runs transactions. Thread-safe."""

    def __init__(
        self, path: Path, scripts: Scripts, tuning: Tuning, merge_when: MergeRule | None = None
    ) -> None:
        self._place = str(path)
        self._merge_on_close = tuning.merge_on_close
        self._lock = threads.lock()
        self._connection: apsw.Connection | None = open_database(path, tuning, merge_when)
        with storage_faults(self._place):
            migrate(self._connection, scripts)
            check_schema(self._connection, scripts)

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """All of the block or nothing of it; synced to disk when the block has been left."""
        with self._lock, storage_faults(self._place):
            if self._connection is None:
                raise StorageUnavailableError(f"{self._place} is closed")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Wait for the transaction that runs, merge the write-ahead log if that is wanted, close; idempotent.

        SQLite merges at the last close by itself, but tells nobody of a failed fsync.
        """
        with self._lock:
            if self._connection is not None:
                if self._merge_on_close:
                    merge(self._connection)
                self._connection.close()
            self._connection = None
