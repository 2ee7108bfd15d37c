"""A small disk that can be filled up to the last byte, where one may be mounted."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BLOCK: Final = bytes(1 << 16)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[bool]:
    """Mount a disk of memory on the folder; False, and nothing is mounted, without the right to do so."""
    folder.mkdir()
    if os.geteuid():
        yield False
        return
    options = f"size={size_bytes},mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield False  # a container without the capability
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(ballast: Path) -> Iterator[int]:
    """Take all room that is left, give it back at the end; the bytes taken.

    Others may free room meanwhile, so it is full at the beginning and may not be for long.
    """
    taken = 0
    try:
        with ballast.open("wb", buffering=0) as file:
            while written := _write(file.fileno()):
                taken += written
        yield taken
    finally:
        ballast.unlink(missing_ok=True)


def _write(descriptor: int) -> int:
    try:
        return os.write(descriptor, _BLOCK)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0
