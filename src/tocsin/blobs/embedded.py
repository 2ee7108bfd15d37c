"""The embedded blob store: a folder of files named by their hashes.

`ab/cdef…` are blobs, `claims/ab/cdef…` names, `incoming/` what is on its way and goes at the next start,
`staged/` what is on its way and stays.
A file gets its name after its bytes are synced; whoever is told of it is told after its folder is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from tocsin import threads
from tocsin.blobs.abstract import (
    Blob,
    BlobRef,
    BlobStore,
    DigestMismatchError,
    StagedUpload,
    Upload,
)
from tocsin.blobs.claims import CONTENT_BYTES_MAX, decode_claim, encode_claim
from tocsin.blobs.staging import Staging
from tocsin.blobs.writing import write_all, write_whole
from tocsin.errors import NotFoundError, TocsinError
from tocsin.storage.faults import storage_faults
from tocsin.storage.files import link, make_directory, open_file, remove, sync_directory, sync_file

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PIECE_BYTES: Final = 1 << 20


class EmbeddedBlobStore(BlobStore):
    """One process at a time uses the folder; who opens it holds the lock of the data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._numbers = count(1)
        self._lock = threads.lock()
        self._staging = Staging(folder / "staged", self._keep)
        if self._incoming.is_dir():
            with storage_faults(str(self._incoming)):
                for left in self._incoming.iterdir():
                    remove(left)

    def begin(self) -> Upload:
        with self._lock:
            make_directory(self._incoming)
            path = self._incoming / str(next(self._numbers))
        return _EmbeddedUpload(path, self._keep)

    def stage(self, name: str, note: bytes) -> StagedUpload:
        if len(note) > CONTENT_BYTES_MAX:
            raise ValueError(f"a note holds at most {CONTENT_BYTES_MAX} bytes")
        return self._staging.begin(name, note)

    def staged(self, name: str) -> StagedUpload | None:
        return self._staging.find(name)

    def unstage(self, name: str) -> None:
        self._staging.forget(name)

    def notes(self) -> dict[str, bytes]:
        return self._staging.notes()

    def open(self, sha256: str) -> Blob:
        try:
            return _EmbeddedBlob(self._path(sha256))
        except FileNotFoundError:
            raise NotFoundError(f"There is no blob {sha256}.") from None

    def claim(self, name: str, content: bytes) -> bytes:
        if len(content) > CONTENT_BYTES_MAX:
            raise ValueError(f"a claim holds at most {CONTENT_BYTES_MAX} bytes")
        with self._lock:
            if (known := self.claimed(name)) is not None:
                return known
            make_directory(self._incoming)
            staged, target = self._incoming / str(next(self._numbers)), self._claim_path(name)
            make_directory(target.parent)
            write_whole(target, encode_claim(name, content), staged)
        return content

    def claimed(self, name: str) -> bytes | None:
        path = self._claim_path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        sync_directory(path.parent)  # whoever named it may have been killed before it synced the name
        known, content = decode_claim(data, str(path))
        if known != name:
            raise NotFoundError(f"{path} stands for another name: two names have one hash.")
        return content

    def verify(self) -> list[str]:
        return [*self._damaged_blobs(), *self._damaged_claims(), *self._staging.damaged()]

    def path(self, sha256: str) -> Path:
        """The file that holds a blob, or would; for processes that may read it and nothing else."""
        return self._path(sha256)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _keep(self, staged: Path, sha256: str) -> None:
        """Give a synced file its name; the one that is there already is the same, byte for byte.

        Both names may be those of one file, after a kill.
        """
        target = self._path(sha256)
        with self._lock:
            if not target.exists():
                make_directory(target.parent)
                with storage_faults(str(target)):
                    link(staged, target)
            sync_directory(target.parent)
            with storage_faults(str(staged)):
                remove(staged)  # not before the other name is durable: a power cut could leave neither

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise NotFoundError("A blob is named by 64 hex digits in lower case.")
        return self._folder / sha256[:2] / sha256[2:]

    def _claim_path(self, name: str) -> Path:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return self._folder / "claims" / digest[:2] / digest[2:]

    def _damaged_blobs(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("[0-9a-f][0-9a-f]/*")):
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
            if digest.hexdigest() != path.parent.name + path.name:
                yield f"blobs/{path.parent.name}/{path.name} does not match its hash"

    def _damaged_claims(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("claims/*/*")):
            try:
                name, _ = decode_claim(path.read_bytes(), f"blobs/claims/{path.parent.name}/{path.name}")
            except TocsinError as error:
                yield error.detail
                continue
            if self._claim_path(name) != path:
                yield f"blobs/claims/{path.parent.name}/{path.name} stands for another name"


class _EmbeddedUpload(Upload):
    """Hashes while it writes."""

    def __init__(self, path: Path, keep: Callable[[Path, str], None]) -> None:
        self._path = path
        self._keep = keep
        self._digest = hashlib.sha256()
        self._size = 0
        self._kept = False
        self._lock = threads.lock()  # a file closed while another thread writes could be another file by then
        with storage_faults(str(path)):
            self._file = open_file(path, "xb")

    def write(self, piece: bytes) -> None:
        with self._lock, storage_faults(str(self._path)):
            write_all(self._file, piece)
            self._digest.update(piece)
            self._size += len(piece)

    def finish(self, sha256: str = "") -> BlobRef:
        found = self._digest.hexdigest()
        if sha256 and sha256 != found:
            self.discard()
            raise DigestMismatchError(f"The bytes have the SHA-256 {found}, not the one that was announced.")
        with self._lock:
            sync_file(self._file, self._path)
            self._file.close()
            self._keep(self._path, found)
            self._kept = True
        return BlobRef(found, self._size)

    def discard(self) -> None:
        with self._lock:
            self._file.close()
            if not self._kept:
                with storage_faults(str(self._path)):
                    remove(self._path)


class _EmbeddedBlob(Blob):
    """A file open for reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        with storage_faults(str(self._path)):
            return os.pread(self._file.fileno(), length, offset)

    def close(self) -> None:
        self._file.close()
