"""Bytes onto the disk: whole pieces, and small files that are there whole or not at all."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from tocsin.storage.faults import storage_faults
from tocsin.storage.files import open_file, rename, sync_directory, sync_file


def write_all(file: FileIO, piece: bytes) -> None:
    """Write all of it; an unbuffered file may take less at a time."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def write_whole(path: Path, data: bytes, staged: Path) -> None:
    """Let `path` have `data`, durably and all at once; `staged` is a name beside it that nobody reads."""
    with storage_faults(str(path)):
        with open_file(staged, "wb") as file:
            write_all(file, data)
            sync_file(file, staged)
        rename(staged, path)
    sync_directory(path.parent)
