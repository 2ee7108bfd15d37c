"""Opens the databases that hold records and verdicts, all of them by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import apsw

from tocsin.errors import CorruptError, StorageUnavailableError, TocsinError
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import make_directory, sync_directory, sync_written
from tocsin.storage.hashing import row_hash
from tocsin.storage.scripts import Scripts
from tocsin.storage.wal import check_tail

SQLITE_VERSION_MIN: Final = (3, 51, 3)

Schema = tuple[tuple[Any, ...], ...]

MergeRule = Callable[[int], bool]
"""Whether a write-ahead log of so many pages is to be copied into its database file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What may differ from store to store. Durability may not.

    `merge_after_pages` is the length of the write-ahead log at which it is copied into the database
    file; `merge_on_close` whether closing does so too. `vfs` names another file layer, for tests that
    lose power.
    """

    page_bytes: int = 4096
    cache_kib: int = 8192
    merge_after_pages: int = 1000
    merge_on_close: bool = True
    vfs: str | None = None


def require_sqlite(version: str) -> None:
    """Refuse SQLite below 3.51.3, which can corrupt a WAL database that two connections use.

    >>> require_sqlite("3.51.3")
    >>> require_sqlite("3.50.4")
    Traceback (most recent call last):
    ...
    tocsin.errors.StorageUnavailableError: SQLite 3.50.4 is too old ...
    """
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_VERSION_MIN:
        raise StorageUnavailableError(
            f"SQLite {version} is too old (3.51.3 or newer is needed, older ones can corrupt a database "
            "in WAL mode): upgrade with `pip install -U apsw`"
        )


def open_database(path: Path, tuning: Tuning, merge_when: MergeRule | None = None) -> apsw.Connection:
    """A connection for writing; creates file and folder, durably, when they are missing.

    `merge_when` replaces `tuning.merge_after_pages`: it is asked after each commit.
    CorruptError when the write-ahead log has lost commits.
    """
    require_sqlite(apsw.sqlite_lib_version())
    existed, wal = path.exists(), path.with_name(path.name + "-wal")
    wal_existed = wal.exists()
    if not existed:
        make_directory(path.parent)
    with storage_faults(str(path)):
        if wal_existed:  # its last commits may be those of a process that was killed before the sync
            sync_written(wal)
            sync_directory(path.parent)
        connection = apsw.Connection(str(path), vfs=tuning.vfs)
        if not existed:
            connection.pragma("page_size", tuning.page_bytes)
        mode = connection.pragma("journal_mode", "wal")
        if mode != "wal":
            raise StorageUnavailableError(f"{path} can't be put in WAL mode (it stays in {mode})")
        _configure(connection, tuning)
        connection.pragma("synchronous", "FULL")
        check_tail(connection)
        rule = merge_when or (lambda pages: pages >= tuning.merge_after_pages)
        connection.set_wal_hook(partial(_merge, merge_when=rule))
    if not (existed and wal_existed):
        sync_directory(path.parent)
    return connection


def open_reader(path: Path, tuning: Tuning) -> apsw.Connection:
    """A connection that can't change anything; the file must exist."""
    with storage_faults(str(path)):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=tuning.vfs)
        _configure(connection, tuning)
        connection.pragma("query_only", True)
    return connection


def migrate(connection: apsw.Connection, scripts: Scripts) -> None:
    """Apply the migrations that are missing, each in one transaction with its number."""
    known = len(scripts.migrations)
    if connection.pragma("user_version") > known:
        raise StorageUnavailableError(f"{connection.filename} was written by a newer Tocsin: upgrade Tocsin")
    for number, script in enumerate(scripts.migrations, start=1):
        if connection.pragma("user_version") < number:
            connection.execute(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};\nCOMMIT;")


def check_schema(connection: apsw.Connection, scripts: Scripts) -> None:
    """CorruptError when the stored schema is not what the migrations made: no row's hash covers it."""
    if schema_of(connection) != _migrated_schema(scripts.migrations):
        raise CorruptError(
            f"{connection.filename} is damaged: its schema is not that of its version: "
            "keep the file and restore it from a copy"
        )


def schema_of(connection: apsw.Connection) -> Schema:
    """What SQLite has written down of tables and indexes, as text."""
    return tuple(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"))


@cache
def _migrated_schema(migrations: tuple[str, ...]) -> Schema:
    connection = apsw.Connection(":memory:")
    _add_functions(connection)
    try:
        migrate(connection, Scripts("", migrations, {}))
        return schema_of(connection)
    finally:
        connection.close()


def _add_functions(connection: apsw.Connection) -> None:
    connection.create_scalar_function(
        "row_hash", lambda *columns: row_hash(columns), deterministic=True, flags=apsw.SQLITE_INNOCUOUS
    )


def _configure(connection: apsw.Connection, tuning: Tuning) -> None:
    _add_functions(connection)
    connection.set_busy_timeout(10_000)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not tuning.merge_on_close))
    connection.wal_autocheckpoint(0)
    connection.pragma("cache_size", -tuning.cache_kib)


def _merge(connection: apsw.Connection, schema: str, pages: int, merge_when: MergeRule) -> int:
    """Copy the write-ahead log into the database file when it has grown long.

    SQLite's own automatic checkpoint ignores every error, a failed fsync too. Other errors change
    nothing: the write-ahead log still holds all, and the next commit tries again.
    """
    if merge_when(pages):
        merge(connection, schema)
    return apsw.SQLITE_OK


def merge(connection: apsw.Connection, schema: str = "main") -> None:
    """Copy the write-ahead log into its database as far as readers allow; a failed fsync ends the process.

    Other errors change nothing: the write-ahead log still holds all.
    """
    with suppress(TocsinError), storage_faults(connection.filename):
        connection.wal_checkpoint(schema, mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
