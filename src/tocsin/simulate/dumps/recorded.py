"""Lines of real log files, to be mixed among those that are made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tocsin.errors import InvalidInputError

_BYTES_MAX: Final = 64 << 20
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")
PER_HOUR: Final = 400
"""Lines an hour at full work."""


class RecordedLines:
    """The lines of a file, or of every file below a folder, up to 64 MiB of them in all."""

    def __init__(self, path: Path) -> None:
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        self._files: list[tuple[str, list[bytes]]] = []
        left = _BYTES_MAX
        for file in files:
            try:
                with file.open("rb") as stream:
                    data = stream.read(left)
            except OSError as error:
                raise InvalidInputError(f"{file} can't be read: {error.strerror}", field="lines") from error
            left -= len(data)
            if lines := [line.removesuffix(b"\r") for line in data.removesuffix(b"\n").split(b"\n") if data]:
                self._files.append((_NO_NAME.sub("_", file.name), lines))
            if left <= 0:
                break
        if not self._files:
            raise InvalidInputError(f"{path} has no lines", field="lines")

    def member(self, device: int) -> str:
        """The name of the log that a machine writes these lines to."""
        return f"recorded/{self._of(device)[0]}"

    def take(self, device: int, first: int, count: int) -> bytes:
        """`count` lines of the machine's file in its order, from line `first` on, over and over."""
        lines = self._of(device)[1]
        return b"".join(lines[at % len(lines)] + b"\n" for at in range(first, first + count))

    def _of(self, device: int) -> tuple[str, list[bytes]]:
        return self._files[device % len(self._files)]
