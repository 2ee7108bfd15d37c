"""Looks into a write-ahead log for commits that SQLite's recovery has passed over."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import apsw

from tocsin.errors import CorruptError

_HEADER_BYTES: Final = 32
_SALTS_AT: Final = 16
_FRAME: Final = struct.Struct(">II8s8s")  # page, size after commit (0 = none), salts, checksum


def check_tail(connection: apsw.Connection) -> None:
    """Tell a damaged write-ahead log from one that was cut off in the middle of its last commit.

    SQLite drops everything after the first frame that does not match its checksum. After a power cut
    that is the one commit that was not yet synced. More than one commit there means that synced, and so
    acknowledged, ones would be lost without a word: CorruptError. A single one is cleared away, so that
    the next cut cannot be mistaken for damage.
    """
    frames = _frames(connection)
    while True:
        leftover, commits = _scan_tail(connection, frames)
        now = _frames(connection)
        if now == frames:
            break
        frames = now  # another connection has committed in the meantime
    if commits > 1:
        raise CorruptError(
            f"{connection.filename_wal} is damaged after frame {frames} and {commits} commits are gone: "
            "keep the file and restore it from a copy"
        )
    if leftover:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _frames(connection: apsw.Connection) -> int:
    """Frames that SQLite found valid."""
    return max(connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0], 0)


def _scan_tail(connection: apsw.Connection, frames: int) -> tuple[bool, int]:
    """Whether frames of this generation follow the valid ones, and how many of them end a commit."""
    path = Path(connection.filename_wal)
    if not path.exists():
        return False, 0
    stride = _FRAME.size + connection.pragma("page_size")
    leftover, commits = False, 0
    with path.open("rb") as file:
        salts = _salts(file.read(_HEADER_BYTES + _FRAME.size))
        file.seek(_HEADER_BYTES + frames * stride)
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            _, committed_pages, frame_salts, _ = _FRAME.unpack(head)
            if frame_salts == salts:
                leftover = True
                commits += committed_pages > 0
            file.seek(stride - _FRAME.size, 1)
    return leftover, commits


def _salts(start: bytes) -> bytes:
    """The salts of this generation of frames; those of the first frame where the header is damaged.

    A sound header counts alone: after a merge SQLite begins a new generation over the old one, whose
    frames may still follow and were not lost.
    """
    header = start[:_HEADER_BYTES]
    if len(header) == _HEADER_BYTES and _checksum(header[:24]) == header[24:]:
        return header[_SALTS_AT : _SALTS_AT + 8]
    return start[_HEADER_BYTES + 8 : _HEADER_BYTES + 16]


def _checksum(header: bytes) -> bytes:
    """SQLite's checksum of a header, whose words are big- or little-endian by its first word."""
    order = ">" if header[3] & 1 else "<"
    words = struct.unpack(f"{order}6I", header)
    first = second = 0
    for left, right in zip(words[::2], words[1::2], strict=True):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second)
