"""A disk that plays recorded events, and shows the states that a power cut now could leave behind.

It serves whatever records `proof.shim.event.Event`s: the shim under real processes, a VFS under SQLite, or a
simulated file system in one process. What it assumes of the disk is the weakest that POSIX allows: contents
are certain after fsync or fdatasync of the file, names after fsync of their directory, and each directory's
names apart from those of others. Of everything else any part may be there, in any order, torn at sectors of
512 or 4,096 bytes, sizes without their bytes. Only a single name changes whole: the old entry or the new.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import xxhash

from proof.power.content import Content, Fate, File
from proof.shim.event import Event, Kind

_CONTENT_FATES: Final = (
    *(Fate.NOTHING, Fate.ALL, Fate.BEFORE, Fate.BEFORE),
    *(Fate.ANY, Fate.ANY, Fate.TORN, Fate.TORN, Fate.SIZES),
)
_NAME_FATES: Final = (Fate.NOTHING, Fate.ALL, Fate.BEFORE, Fate.BEFORE, Fate.ANY, Fate.ANY)


class DiskError(Exception):
    """An event that does not fit those before it: the recorder has missed something."""


@dataclass(slots=True, eq=False)
class Folder:
    """Names as they are now, as they are for certain, and the changes between the two."""

    now: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)
    pending: list[tuple[str, Node | None, int]] = field(default_factory=list)

    def change(self, name: str, node: Node | None, moment: int) -> None:
        """A name that appears, changes or (None) goes."""
        self.pending.append((name, node, moment))
        _set(self.now, name, node)

    def sync(self) -> None:
        """All names of this folder, and of no other, are certain."""
        self.synced = dict(self.now)
        self.pending = []

    def after_cut(self, fate: Fate, moment: int, rng: random.Random) -> Mapping[str, Node]:
        """One of the sets of names that a cut may leave."""
        if not self.pending or fate is Fate.NOTHING:
            return self.synced
        names = dict(self.synced)
        for name, node, when in self.pending:
            if fate is Fate.ALL or (when <= moment if fate is Fate.BEFORE else rng.random() < 0.5):
                _set(names, name, node)
        return names


Node = File | Folder


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


@dataclass(frozen=True, slots=True)
class State:
    """What is on the disk after a cut: folders, and contents by path."""

    folders: frozenset[str]
    files: Mapping[str, Content]

    def hash(self, below: str = "") -> bytes:
        """Equal for equal states; with `below`, of the paths that start with it."""
        digest = xxhash.xxh3_128()
        for path in sorted(self.files):
            if path.startswith(below):
                digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
                digest.update(self.files[path].hash)
        for folder in sorted(self.folders):
            if folder.startswith(below):
                digest.update(folder.encode("utf-8", "surrogateescape") + b"/")
        return digest.digest()

    def write(self, target: Path, below: Iterable[str] = ("",)) -> None:
        """Lay out the state under `target`, or of it what starts with one of `below`."""
        wanted = tuple(below)
        for folder in sorted(self.folders):
            if folder.startswith(wanted):
                (target / folder).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            if path.startswith(wanted):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(content.data)


class Disk:
    """Plays events one after another; `state` shows what a cut at this moment could leave."""

    def __init__(self) -> None:
        self.root: Final = Folder()
        self.marks: Final[list[bytes]] = []
        self.moment = 0
        self._files: dict[int, File] = {}
        self._unsynced_files: dict[File, None] = {}  # as sets, but in an order that a seed can count on
        self._unsynced_folders: dict[Folder, None] = {}

    @property
    def uncertain(self) -> int:
        """How many changes no sync has made certain."""
        files = sum(len(file.pending) for file in self._unsynced_files)
        return files + sum(len(folder.pending) for folder in self._unsynced_folders)

    def play(self, event: Event) -> None:
        """Let one event happen."""
        self.moment += 1
        match event.kind:
            case Kind.MARK:
                self.marks.append(event.data)
            case Kind.WRITE | Kind.TRUNCATE:
                file = self._file(event)
                file.change(event, self.moment)
                self._unsynced_files[file] = None
            case Kind.SYNC:
                file = self._file(event)
                file.sync()
                self._unsynced_files.pop(file, None)
            case Kind.SYNC_DIRECTORY:
                folder = self._folder(event.path)
                folder.sync()
                self._unsynced_folders.pop(folder, None)
            case _:
                self._play_name(event)

    def _play_name(self, event: Event) -> None:
        match event.kind:
            case Kind.CREATE:
                self._files[event.file] = file = File()
                self._change(event.path, file)
            case Kind.MKDIR:
                self._change(event.path, Folder())
            case Kind.UNLINK | Kind.RMDIR:
                self._change(event.path, None)
            case Kind.RENAME | Kind.LINK:
                self._change(event.target, self.node(event.path))
                if event.kind is Kind.RENAME:
                    self._change(event.path, None)
            case _:
                raise DiskError(f"no disk can play {event.kind!r}")

    def node(self, path: str) -> Node:
        """What has the name now; DiskError if nothing has."""
        node: Node = self.root
        for part in path.split("/") if path else ():
            if not isinstance(node, Folder) or part not in node.now:
                raise DiskError(f"nothing is known of {path}")
            node = node.now[part]
        return node

    def state(self, rng: random.Random) -> State:
        """One of the states that a power cut now could leave, by chance."""
        contents, names = rng.choice(_CONTENT_FATES), rng.choice(_NAME_FATES)
        spans = [change.moment for file in self._unsynced_files for change in file.pending]
        spans += [when for folder in self._unsynced_folders for _, _, when in folder.pending]
        moment = rng.choice(spans) if spans else self.moment
        found = _Walk(contents, names, moment, rng)
        found.folder("", self.root)
        return State(frozenset(found.folders), found.files)

    def as_written(self) -> State:
        """What a process sees that looks now, without any cut."""
        found = _Walk(Fate.ALL, Fate.ALL, self.moment, random.Random(0))
        found.folder("", self.root)
        return State(frozenset(found.folders), found.files)

    def _file(self, event: Event) -> File:
        if event.file not in self._files:
            raise DiskError(f"{event.kind.name} of a file {event.file} that nobody created")
        return self._files[event.file]

    def _folder(self, path: str) -> Folder:
        node = self.node(path)
        if not isinstance(node, Folder):
            raise DiskError(f"{path} is no folder")
        return node

    def _change(self, path: str, node: Node | None) -> None:
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        folder.change(name, node, self.moment)
        self._unsynced_folders[folder] = None


class _Walk:
    """Goes through the names that are left and takes each file's content after the cut, once a file."""

    def __init__(self, contents: Fate, names: Fate, moment: int, rng: random.Random) -> None:
        self.folders: set[str] = set()
        self.files: dict[str, Content] = {}
        self._contents = contents
        self._names = names
        self._moment = moment
        self._rng = rng
        self._seen: dict[int, Content] = {}

    def folder(self, path: str, folder: Folder) -> None:
        for name, node in folder.after_cut(self._names, self._moment, self._rng).items():
            below = f"{path}/{name}" if path else name
            if isinstance(node, Folder):
                self.folders.add(below)
                self.folder(below, node)
            elif id(node) in self._seen:
                self.files[below] = self._seen[id(node)]
            else:
                content = node.after_cut(self._contents, self._moment, self._rng)
                self.files[below] = self._seen[id(node)] = content
