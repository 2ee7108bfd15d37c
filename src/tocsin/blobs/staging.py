"""Uploads that outlive the process: a folder each, with the bytes, a note, and how many bytes are durable.

`staged/ab…/note` is written once, `data` grows, and `size` is written anew after each sync of `data`. What
`data` has beyond that was never promised, and goes when the upload is taken up again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from tocsin import threads
from tocsin.blobs.abstract import BlobRef, DigestMismatchError, StagedUpload
from tocsin.blobs.claims import decode_claim, encode_claim
from tocsin.blobs.writing import write_all, write_whole
from tocsin.errors import CorruptError, NotFoundError
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import (
    make_directory,
    open_file,
    remove,
    remove_directory,
    sync_directory,
    sync_file,
)

Keep = Callable[[Path, str], None]
"""Give a synced file the name of its hash, unless a file has it already; the name is durable on return."""

_PIECE_BYTES: Final = 1 << 20
_NOTE: Final = "note"
_DATA: Final = "data"
_SIZE: Final = "size"
_NEW: Final = "new"


class Staging:
    """The folder of all of them. Thread-safe as long as each upload has one holder."""

    def __init__(self, folder: Path, keep: Keep) -> None:
        self._folder = folder
        self._keep = keep

    def begin(self, name: str, note: bytes) -> StagedUpload:
        """As BlobStore.stage."""
        folder = self._folder_of(name)
        if not (folder / _NOTE).exists():
            make_directory(folder)
            write_whole(folder / _NOTE, encode_claim(name, note), folder / _NEW)
        return self._open(name, folder)

    def find(self, name: str) -> StagedUpload | None:
        """As BlobStore.staged."""
        folder = self._folder_of(name)
        return self._open(name, folder) if (folder / _NOTE).exists() else None

    def forget(self, name: str) -> None:
        """As BlobStore.unstage."""
        forget(self._folder_of(name))

    def notes(self) -> dict[str, bytes]:
        """As BlobStore.notes; folders whose note never came are removed."""
        found = {}
        for folder in self._folders():
            if not (folder / _NOTE).exists():
                forget(folder)
                continue
            with suppress(CorruptError):
                name, note = _read(folder / _NOTE)
                found[name] = note
        return found

    def damaged(self) -> Iterator[str]:
        """What is wrong with notes and sizes, in words. The bytes have no hash before they are whole."""
        for path in (folder / name for folder in self._folders() for name in (_NOTE, _SIZE)):
            if path.exists():
                try:
                    _read(path)
                except CorruptError as error:
                    yield error.detail

    def _folders(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []

    def _open(self, name: str, folder: Path) -> StagedUpload:
        known, note = _read(folder / _NOTE)
        if known != name:
            raise NotFoundError(f"{folder} belongs to another name: two names have one hash.")
        return _EmbeddedStagedUpload(folder, name, note, self._keep)

    def _folder_of(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()


class _EmbeddedStagedUpload(StagedUpload):
    """Hashes while it writes, and once more from the beginning when it is taken up again."""

    def __init__(self, folder: Path, name: str, note: bytes, keep: Keep) -> None:
        self._folder = folder
        self._path: Final = folder / _DATA
        self._name = name
        self._note = note
        self._keep = keep
        self._lock = threads.lock()  # a file closed while another thread writes could be another file by then
        self._digest = hashlib.sha256()
        self._size, self._kept = self._load()
        self._named = bool(self._kept)
        if self._named:
            self._name_blob()
        else:
            self._file = self._take_up()
        self._synced = self._size, self._digest.copy()

    @property
    def note(self) -> bytes:
        return self._note

    @property
    def size(self) -> int:
        return self._size

    def write(self, piece: bytes) -> None:
        with self._lock, storage_faults(str(self._path)):
            self._file.seek(self._size)  # a write that failed may have left a part
            write_all(self._file, piece)
            self._digest.update(piece)
            self._size += len(piece)

    def sync(self) -> None:
        with self._lock:
            if self._kept or self._size == self._synced[0]:
                return
            sync_file(self._file, self._path)
            self._store()
            self._synced = self._size, self._digest.copy()

    def revert(self) -> None:
        with self._lock, storage_faults(str(self._path)):
            if self._kept:
                return
            self._size, digest = self._synced
            self._digest = digest.copy()
            self._file.truncate(self._size)

    def finish(self, sha256: str = "") -> BlobRef:
        with self._lock:
            found = self._kept or self._digest.hexdigest()
            if sha256 and sha256 != found:
                raise DigestMismatchError(
                    f"The bytes have the SHA-256 {found}, not the one that was announced."
                )
            if not self._kept:
                sync_file(self._file, self._path)
                self._store(found)
                self._kept = found
            if not self._named:
                self._file.close()
                self._name_blob()
                self._named = True
            return BlobRef(found, self._size)

    def close(self) -> None:
        with self._lock:
            if not self._named:
                self._file.close()

    def discard(self) -> None:
        self.close()
        forget(self._folder)

    def _load(self) -> tuple[int, str]:
        """Durable bytes, and the hash if all of them were to become a blob."""
        path = self._folder / _SIZE
        if not path.exists():
            return 0, ""
        name, content = _read(path)
        size, sha256 = msgspec.msgpack.decode(content, type=tuple[int, str])
        if name != self._name:
            raise CorruptError(f"{path} belongs to another upload")
        return size, sha256

    def _store(self, sha256: str = "") -> None:
        """Note how many bytes are durable, and their hash if all of them are to become a blob."""
        content = msgspec.msgpack.encode((self._size, sha256))
        write_whole(self._folder / _SIZE, encode_claim(self._name, content), self._folder / _NEW)

    def _name_blob(self) -> None:
        """Make a blob of the bytes; who did so may have been killed before the name was durable."""
        self._keep(self._path, self._kept)
        sync_directory(self._folder)

    def _take_up(self) -> FileIO:
        """Open the bytes, without those that were never promised, and hash them."""
        with storage_faults(str(self._path)):
            if not self._size:
                remove(self._path)  # nothing of it was promised, but it may be a blob by another name
            file = open_file(self._path, "r+b" if self._path.exists() else "w+b")
            left = self._size
            while left and (piece := file.read(min(left, _PIECE_BYTES))):
                self._digest.update(piece)
                left -= len(piece)
            if left:
                file.close()
                raise CorruptError(f"{self._path} lacks {left} bytes that were durable")
            file.truncate(self._size)
        sync_directory(self._folder)
        return file


def forget(folder: Path) -> None:
    """Remove an upload's folder; its note goes first, so that what a crash leaves is nobody's. Idempotent."""
    if not folder.is_dir():
        return
    with storage_faults(str(folder)):
        for name in (_NOTE, _SIZE, _DATA, _NEW):
            remove(folder / name)
        sync_directory(folder)
        remove_directory(folder)


def _read(path: Path) -> tuple[str, bytes]:
    with storage_faults(str(path)):
        return decode_claim(path.read_bytes(), str(path))
