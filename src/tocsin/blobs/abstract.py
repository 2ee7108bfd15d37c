"""The blob port: bytes kept whole, named by their SHA-256.

Every implementation passes tests/contract/test_blobs.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from tocsin.errors import TocsinError


class DigestMismatchError(TocsinError):
    """What arrived is not what was announced; nothing was kept."""

    code = "digest_mismatch"
    status = 422


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A blob that is durable: `sha256` as 64 hex digits in lower case."""

    sha256: str
    size_bytes: int


class Blob(ABC):
    """A blob opened for reading at any place; never changes. Not for several threads at once."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Its length in bytes."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, fewer at the end; blocks."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Upload(ABC):
    """Bytes on their way in: nobody sees them before `finish`. Thread-safe, but pieces have an order."""

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Add a piece; blocks. StorageFullError when there is no room."""

    @abstractmethod
    def finish(self, sha256: str = "") -> BlobRef:
        """Make the blob visible and durable; the same bytes again are the same blob.

        DigestMismatchError, and nothing is kept, when `sha256` is given and is another.
        """

    @abstractmethod
    def discard(self) -> None:
        """Forget what was written; nothing after `finish`. Idempotent."""


class StagedUpload(Upload):
    """An upload that outlives the process: what was synced is there when it is taken up again.

    One holder at a time. `finish` may be called again after a restart; the staged name stays, with nothing
    behind it, until `discard`.
    """

    @property
    @abstractmethod
    def note(self) -> bytes:
        """What was noted when it was staged."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written; those synced, right after it was taken up."""

    @abstractmethod
    def sync(self) -> None:
        """Make durable what was written; blocks."""

    @abstractmethod
    def revert(self) -> None:
        """Forget what was written since it was synced last."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; what was synced stays. Idempotent."""


class BlobStore(ABC):
    """Blobs are whole or absent, and never change. Thread-safe."""

    @abstractmethod
    def begin(self) -> Upload:
        """Take in a blob piece by piece, in bounded memory; whoever began must finish or discard."""

    @abstractmethod
    def stage(self, name: str, note: bytes) -> StagedUpload:
        """Begin an upload under a name, durably, with a note of at most 64 KiB; the one there is, if any."""

    @abstractmethod
    def staged(self, name: str) -> StagedUpload | None:
        """Take up an upload again; reads what is there of it, to hash it. CorruptError if damaged."""

    @abstractmethod
    def unstage(self, name: str) -> None:
        """Forget an upload, a damaged one too; nothing if there is none."""

    @abstractmethod
    def notes(self) -> dict[str, bytes]:
        """The note of every staged upload, by name, but for damaged ones, which `verify` names."""

    @abstractmethod
    def open(self, sha256: str) -> Blob:
        """The blob with this hash; NotFoundError if there is none. Its bytes are not hashed again."""

    @abstractmethod
    def claim(self, name: str, content: bytes) -> bytes:
        """Let `name` stand for `content` (at most 64 KiB) unless it stands for something; what it stands for.

        Durable on return. Of many who claim one name at once, one wins and all get the content of that one.
        """

    @abstractmethod
    def claimed(self, name: str) -> bytes | None:
        """What the name stands for, durably; None if nobody has claimed it. CorruptError if altered."""

    @abstractmethod
    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
