"""Where a command is to write: looked at before any work is done for it."""

from __future__ import annotations

import os
from pathlib import Path

from tocsin.errors import InvalidInputError


def require_file(path: Path | None, option: str = "out") -> None:
    """InvalidInputError unless a file can be written there; nothing is asked of None."""
    if path is None:
        return
    _look_at(path, option)
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder: name a file in it", field=option)
    if path.exists():
        _require_access(path, os.W_OK, option)
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"the folder {path.parent} does not exist: make it first", field=option)
    _require_access(path.absolute().parent, os.W_OK | os.X_OK, option)


def require_files(source: Path | None = None, **named: Path | None) -> None:
    """`require_file` for each, by option; InvalidInputError, too, where one would overwrite another."""
    taken = {} if source is None else {source.resolve(): "what is read"}
    for option, path in named.items():
        require_file(path, option)
        if path is not None and (other := taken.setdefault(path.resolve(), f"--{option}")) != f"--{option}":
            raise InvalidInputError(f"--{option} would overwrite {other}: name another file", field=option)


def require_folder(path: Path, option: str = "out") -> None:
    """InvalidInputError unless files can be written into this folder, which need not be there yet."""
    _look_at(path, option)
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise InvalidInputError(f"{there} is a file: name a folder", field=option)
    _require_access(there, os.W_OK | os.X_OK, option)


def _look_at(path: Path, option: str) -> None:
    """Names that the system can't even look for: too long, or in a folder that is closed to this user."""
    try:
        path.exists()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}: name another place", field=option) from error


def _require_access(path: Path, mode: int, option: str) -> None:
    if not os.access(path, mode):
        raise InvalidInputError(
            f"{path} can't be written by this user: name another place, or change its permissions",
            field=option,
        )
