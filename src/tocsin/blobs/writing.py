"""Bytes onto the disk: whole pieces, synced files, and small files that are there whole or not at all."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from tocsin.storage.faults import end_process, storage_faults
from tocsin.storage.files import rename, sync_directory


def write_all(file: FileIO, piece: bytes) -> None:
    """Write all of it; an unbuffered file may take less at a time."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def sync_file(file: FileIO, path: Path) -> None:
    """Make the bytes durable; a failed fsync ends the process, since none after it can be believed."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        end_process(f"fsync of {path} failed: {error}")


def write_whole(path: Path, data: bytes, staged: Path) -> None:
    """Let `path` have `data`, durably and all at once; `staged` is a name beside it that nobody reads."""
    with storage_faults(str(path)):
        with staged.open("wb", buffering=0) as file:
            write_all(file, data)
            sync_file(file, staged)
        rename(staged, path)
    sync_directory(path.parent)
