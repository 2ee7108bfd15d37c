"""Bytes that can be read at any place, which is all that an archive needs of its store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from tocsin.dumps.faults import ZipMalformedError


class Source(Protocol):
    """Bytes of known length that do not change while they are read."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, fewer at the end; may block."""
        ...


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class FileSource:
    """A file, open until `close`. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()


def read_exactly(source: Source, offset: int, length: int) -> bytes:
    """`length` bytes from `offset` on; ZipMalformedError when they are not all there."""
    data = source.read(offset, length)
    while len(data) < length:
        more = source.read(offset + len(data), length - len(data))
        if not more:
            raise ZipMalformedError(f"The archive ends before byte {offset + length}: it is cut off.")
        data += more
    return data
