"""What a disk holds for certain, and what it may hold after the power was cut.

Bytes are certain once their file is synced, names once their directory is. Of all else any part may be
there: whole or torn at a sector, in any order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

SECTOR_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written, or (`data` None) a file cut off at `offset`."""

    offset: int
    data: bytes | None

    def apply(self, content: bytearray, size: int | None = None) -> None:
        """Do it to the content, or only the first `size` bytes of it."""
        if self.data is None:
            del content[self.offset :]
            return
        content.extend(bytes(max(0, self.offset - len(content))))
        data = self.data if size is None else self.data[:size]
        content[self.offset : self.offset + len(data)] = data


@dataclass(slots=True)
class StoredFile:
    """The certain bytes of a file, and what was written since."""

    certain: bytearray = field(default_factory=bytearray)
    pending: list[Write] = field(default_factory=list)

    def sync(self) -> None:
        """Make it all certain."""
        for write in self.pending:
            write.apply(self.certain)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytearray:
        """What may be found: none, all, all up to a moment, or any of what was not synced."""
        content = bytearray(self.certain)
        fate = rng.choice(("none", "all", "before", "any", "any"))
        upto = rng.randrange(len(self.pending) + 1) if fate == "before" else len(self.pending)
        for write in self.pending[:upto]:
            if fate == "none" or (fate == "any" and rng.random() < 0.5):
                continue
            torn = fate != "all" and write.data is not None and rng.random() < 0.3
            size = rng.randrange(0, len(write.data or b"") + 1, SECTOR_BYTES) if torn else None
            write.apply(content, size)
        return content


@dataclass(frozen=True, slots=True)
class Renaming:
    """Names that change together: what each stands for now, None = nothing."""

    names: tuple[tuple[str, StoredFile | None], ...]

    def apply(self, directory: dict[str, StoredFile]) -> None:
        """Do it to a directory."""
        for name, file in self.names:
            if file is None:
                directory.pop(name, None)
            else:
                directory[name] = file

    def is_in(self, folder: str) -> bool:
        """Whether it is the folder's sync that makes it certain."""
        return any(_folder(name) == folder for name, _ in self.names)


class Medium:
    """Names are relative, folders end with "/"."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self._certain: dict[str, StoredFile] = {}
        self._changes: list[Renaming] = []

    def create(self, name: str) -> None:
        """A new, empty file or folder."""
        self._change((name, StoredFile()))

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Bytes of a file that exists."""
        self.files[name].pending.append(Write(offset, data))

    def truncate(self, name: str, size: int) -> None:
        """Cut the file off."""
        self.files[name].pending.append(Write(size, None))

    def sync(self, name: str) -> None:
        """The file's bytes become certain; its name does not."""
        self.files[name].sync()

    def rename(self, name: str, target: str) -> None:
        """One change: after a cut the file has its old name or its new one."""
        self._change((target, self.files[name]), (name, None))

    def link(self, name: str, target: str) -> None:
        """A second name for the file."""
        self._change((target, self.files[name]))

    def remove(self, name: str) -> None:
        """The name stands for nothing any more."""
        self._change((name, None))

    def sync_folder(self, folder: str) -> None:
        """The names in a folder ("" = the uppermost) become certain."""
        for change in self._changes:
            if change.is_in(folder):
                change.apply(self._certain)
        self._changes = [change for change in self._changes if not change.is_in(folder)]

    def cut_power(self, rng: random.Random) -> int:
        """Forget what was lost; how many unsynced changes there had been."""
        unsynced = len(self._changes) + sum(len(file.pending) for file in self.files.values())
        for change in self._changes:
            if rng.random() < 0.5:
                change.apply(self._certain)
        self._changes = []
        found = {name: file for name, file in self._certain.items() if self._is_reached(name)}
        for file in found.values():
            file.certain, file.pending = file.after_cut(rng), []
        self._certain, self.files = found, dict(found)
        return unsynced

    def _is_reached(self, name: str) -> bool:
        folder = _folder(name)
        return not folder or (folder in self._certain and self._is_reached(folder))

    def _change(self, *names: tuple[str, StoredFile | None]) -> None:
        change = Renaming(names)
        change.apply(self.files)
        self._changes.append(change)


def _folder(name: str) -> str:
    """The folder that holds a name.

    >>> _folder("log/segment.db"), _folder("log/"), _folder("commit.db")
    ('log/', '', '')
    """
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else f"{parent}/"
