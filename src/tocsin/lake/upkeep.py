"""Looks after the files of the lake: checks them against their hashes, and removes what nothing names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from tocsin.lake.files import TEMPORARY_SUFFIX, LakeFile, publish
from tocsin.lake.store import LakeStore, Snapshot
from tocsin.storage.files import sync_directory

GRACE_S: Final = 6 * 3600
QUARANTINE_FILE: Final = "quarantine.json"


class Damage(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A file that is not as it was written."""

    table: str
    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was re-read, and what is wrong with it, if anything."""

    table: str
    entry: LakeFile
    damage: Damage | None


def check(snapshot: Snapshot) -> Iterator[Checked]:
    """Re-read every file, one a step, and compare it with the hash, size and rows that were stored."""
    for table, files in snapshot.files.items():
        for entry in files:
            problem = _problem(snapshot.path(table, entry), entry)
            damage = Damage(table=table, path=entry.path, problem=problem) if problem else None
            yield Checked(table, entry, damage)


def _problem(path: Path, entry: LakeFile) -> str:
    try:
        payload = path.read_bytes()
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if len(payload) != entry.size_bytes:
        return f"has {len(payload)} bytes instead of {entry.size_bytes}"
    if xxhash.xxh3_128_hexdigest(payload) != entry.content_hash:
        return "does not match its hash"
    rows = pq.read_metadata(pa.BufferReader(payload)).num_rows
    return "" if rows == entry.rows else f"has {rows} rows instead of {entry.rows}"


def quarantine(folder: Path, damaged: list[Damage]) -> None:
    """Remember damaged files, so that queries name them instead of failing inside; replaces the list."""
    publish(folder / QUARANTINE_FILE, msgspec.json.encode(sorted(damaged)))


def quarantined(folder: Path) -> list[Damage]:
    """The damaged files that were last found."""
    path = folder / QUARANTINE_FILE
    return msgspec.json.decode(path.read_bytes(), type=list[Damage]) if path.exists() else []


def vacuum(store: LakeStore, *, grace_s: int = GRACE_S) -> list[Path]:
    """Delete files that no table names, `grace_s` after a vacuum first saw that; returns which.

    So a query that still reads an old snapshot keeps its files, and a file that is just being added
    is left alone. With no grace, nothing else may use the lake.
    """
    now_ms = store.clock.now_ms()
    with store.writing:
        unnamed = {path for name in store.snapshot().files for path in _unnamed_files(store, name)}
        since = {path: store.unnamed_since_ms.get(path, now_ms) for path in unnamed}
        expired = sorted(path for path, first_ms in since.items() if now_ms - first_ms >= grace_s * 1000)
        for path in expired:
            path.unlink()
            del since[path]
        store.unnamed_since_ms = since
    for directory in {path.parent for path in expired}:
        sync_directory(directory)
    return expired


def _unnamed_files(store: LakeStore, table: str) -> set[Path]:
    folder = store.folder / table
    current = {folder / entry.path for entry in store.snapshot().files[table]}
    return {path for path in folder.rglob("part-*") if _is_data(path)} - current


def _is_data(path: Path) -> bool:
    return path.name.endswith((".parquet", TEMPORARY_SUFFIX))
