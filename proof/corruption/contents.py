"""What a data folder says when it is read: every row of every store, every file of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import xxhash

from tocsin.clock import SystemClock
from tocsin.lake.delta import DeltaLake

# What changes whenever anybody looks says nothing about the data.
_PASSING: Final = {"partition": {"epoch", "hash"}, "credential": {"last_used_ms"}}


def contents_of(data: Path) -> dict[str, str]:
    """A hash of each table and each lake file's contents; the folder is changed by it (take a copy)."""
    found = {}
    for path in sorted(data.rglob("*.db")):
        for table, rows in _tables(path):
            found[f"{path.relative_to(data)}:{table}"] = _hash(rows)
    lake = DeltaLake(data / "lake", SystemClock(), read_only=True)
    try:
        snapshot = lake.snapshot()
        for table, entries in snapshot.files.items():
            for entry in entries:
                known = (entry.size_bytes, entry.rows, entry.partition, entry.ranges)
                payload = snapshot.path(table, entry).read_bytes()
                found[f"lake:{table}/{entry.path}"] = _hash([known, payload])
        found["lake:positions"] = _hash(sorted(lake.positions().items()))
    finally:
        lake.close()
    return found


def _tables(path: Path) -> Iterator[tuple[str, list[Any]]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for name in sorted(names):
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            kept = ", ".join(f'"{column}"' for column in columns if column not in _PASSING.get(name, ()))
            rows = connection.execute(f'SELECT {kept} FROM "{name}"').fetchall()  # noqa: S608 - own names
            yield name, sorted(rows, key=repr)
    finally:
        connection.close()


def _hash(value: Any) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.msgpack.encode(value))


def without_last_commit(wal: Path) -> None:
    """Cut the last commit off a write-ahead log, as a power cut before its sync would."""
    content = wal.read_bytes()
    stride = 24 + int.from_bytes(content[8:12])
    ends = [
        at + stride
        for at in range(32, len(content) - stride + 1, stride)
        if content[at + 8 : at + 16] == content[16:24] and int.from_bytes(content[at + 4 : at + 8])
    ]
    wal.write_bytes(content[: ends[-2] if len(ends) > 1 else 0])
