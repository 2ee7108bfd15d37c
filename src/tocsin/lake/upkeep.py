"""Looks after the files of the lake: checks them against their hashes, and removes what nothing names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.lake.files import TEMPORARY_SUFFIX, LakeFile
from tocsin.lake.quarantine import Damage, write_quarantined
from tocsin.lake.store import LakeStore, Snapshot
from tocsin.storage.files import sync_directory

GRACE_S: Final = 6 * 3600


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was re-read, and what is wrong with it, if anything."""

    table: str
    entry: LakeFile
    damage: Damage | None


def check(snapshot: Snapshot) -> Iterator[Checked]:
    """Re-read every file, one a step, and compare it with the hash and the size that were stored."""
    for table, files in snapshot.files.items():
        for entry in files:
            problem = snapshot.verified.compare(snapshot.folder / table, entry)
            damage = Damage(table=table, path=entry.path, problem=problem) if problem else None
            yield Checked(table, entry, damage)


def inspect(store: LakeStore, *, bytes_max: int) -> None:
    """Compare files that nobody has for a day, up to `bytes_max`; write down what is damaged.

    Called again and again it finds what the disk does to files that nobody asks for.
    """
    snapshot, left_bytes = store.snapshot(), bytes_max
    for table, files in snapshot.files.items():
        folder = store.folder / table
        for entry in files:
            if left_bytes > 0 and store.verified.waiting(folder, entry):
                store.verified.problem(folder, entry)
                left_bytes -= entry.size_bytes
    write_down(store)


def write_down(store: LakeStore) -> list[Damage]:
    """Keep in mind, synced, which files of the lake are damaged as far as is known; these."""
    damaged = [
        Damage(table=table, path=entry.path, problem=problem)
        for table, files in store.snapshot().files.items()
        for entry in files
        if (problem := store.verified.known_problem(store.folder / table, entry))
    ]
    write_quarantined(store.folder, damaged)
    return damaged


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
