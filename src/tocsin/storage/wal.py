"""Looks into a write-ahead log for commits that SQLite's recovery has passed over."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import apsw

from tocsin.errors import CorruptError

_HEADER_BYTES: Final = 32
_GENERATION_AT: Final = 12
_SALTS_AT: Final = 16
_FRAME: Final = struct.Struct(">II8s8s")  # page, size after commit (0 = none), salts, checksum
_SUM_BYTES: Final = 8
_SUMMED_BYTES: Final = 8  # of a frame's header, before its page
_SECTOR_BYTES: Final = 512  # the least that a disk writes whole


def check_tail(connection: apsw.Connection) -> None:
    """Tell a damaged write-ahead log from one that was cut off in the middle of its last commit.

    SQLite drops everything after the first frame that does not match its checksum. After a power cut
    that is the one commit that was not yet synced. More than one commit there means that synced, and so
    acknowledged, ones would be lost without a word: CorruptError. A single one is cleared away, so that
    the next cut cannot be mistaken for damage. So is a log of which nothing is valid: a connection that has
    not recovered it itself would begin a first generation over what is older.
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
    """Whether there is something to clear away, and how many commits follow the valid frames."""
    path = Path(connection.filename_wal)
    if not path.exists():
        return False, 0
    page_bytes = connection.pragma("page_size")
    at = _HEADER_BYTES + frames * (_FRAME.size + page_bytes)
    commits = 0
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES + _FRAME.size)
        salts, leftover = _salts(start), bool(start) and not frames
        file.seek(at - page_bytes - _SUM_BYTES if frames else _HEADER_BYTES - _SUM_BYTES)
        before = file.read(_SUM_BYTES)
        file.seek(at)
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            page = file.read(page_bytes)
            _, committed_pages, frame_salts, checksum = _FRAME.unpack(head)
            if _is_one_generation(frame_salts, salts):
                leftover = True
                torn = (
                    _may_be_torn(start, at)
                    and _checksum(start, head[:_SUMMED_BYTES] + page, before) != checksum
                )
                commits += committed_pages > 0 and not torn
            at, before = file.tell(), checksum
    return leftover, commits


def _may_be_torn(start: bytes, at: int) -> bool:
    """Whether the header of a frame at this place has its first words in one sector, its salts in the next.

    Over an older generation a power cut may leave the size of an old commit before the salts of a new one.
    Below the first generation of a file there is nothing that could be taken for a commit.
    """
    first = start[_GENERATION_AT:_SALTS_AT] == bytes(4)
    return not first and at // _SECTOR_BYTES != (at + _SUMMED_BYTES) // _SECTOR_BYTES


def _is_one_generation(salts: bytes, others: bytes) -> bool:
    """Whether either half is the same: the next generation has another in both, and no write tears them."""
    return salts[:4] == others[:4] or salts[4:] == others[4:]


def _salts(start: bytes) -> bytes:
    """The salts of this generation of frames; those of the first frame where the header is damaged.

    A sound header counts alone: after a merge SQLite begins a new generation over the old one, whose
    frames may still follow and were not lost.
    """
    header = start[:_HEADER_BYTES]
    if len(header) == _HEADER_BYTES and _checksum(header, header[:24]) == header[24:]:
        return header[_SALTS_AT : _SALTS_AT + 8]
    return start[_HEADER_BYTES + 8 : _HEADER_BYTES + 16]


def _checksum(header: bytes, summed: bytes, before: bytes = bytes(8)) -> bytes:
    """SQLite's checksum, going on from that `before`; the log's header tells the order of bytes in words."""
    order = ">" if header[3] & 1 else "<"
    words = struct.unpack_from(f"{order}{len(summed) // 8 * 2}I", summed)
    first, second = struct.unpack(">2I", before)
    for left, right in zip(words[::2], words[1::2], strict=True):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second)
