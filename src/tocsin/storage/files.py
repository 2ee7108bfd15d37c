"""Directories that survive power loss."""

from __future__ import annotations

import os
from pathlib import Path

from tocsin.storage.faults import end_process, storage_faults


def sync_directory(folder: Path) -> None:
    """Make created, renamed and deleted names in `folder` durable; ends the process when that fails.

    StorageUnavailableError when the folder can't even be opened: then nothing was tried.
    """
    with storage_faults(str(folder)):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        end_process(f"fsync of directory {folder} failed: {error}")
    finally:
        os.close(descriptor)


def make_directory(folder: Path) -> None:
    """Create `folder` and its parents, each entry durable."""
    if folder.is_dir():
        return
    make_directory(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_directory(folder.parent)
