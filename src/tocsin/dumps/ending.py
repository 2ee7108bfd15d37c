"""The end of an archive, which says where its directory is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tocsin.dumps.faults import ZipLimitError, ZipMalformedError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.source import Source, read_exactly

_END: Final = struct.Struct("<4sHHHHIIH")
_END_MARK: Final = b"PK\5\6"
_LOCATOR: Final = struct.Struct("<4sIQI")
_LOCATOR_MARK: Final = b"PK\6\7"
_END64: Final = struct.Struct("<4sQHHIIQQQQ")
_END64_MARK: Final = b"PK\6\6"
_COMMENT_MAX: Final = 0xFFFF
_IN_64: Final = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Ending:
    """The directory: how many members, and which bytes. Behind it comes nothing but this ending."""

    members: int
    directory_bytes: int
    directory_offset: int


def read_ending(source: Source, limits: ArchiveLimits) -> Ending:
    """Where the directory is. ZipMalformedError unless exactly one reading of the last bytes is possible."""
    tail_at = max(0, source.size - _END.size - _COMMENT_MAX)
    tail = read_exactly(source, tail_at, source.size - tail_at)
    place = tail.rfind(_END_MARK)
    if place < 0 or len(tail) - place < _END.size:
        raise ZipMalformedError("This is no ZIP archive, or its end is cut off.")
    _, disk, start_disk, *fields, comment_bytes = _END.unpack_from(tail, place)
    if place + _END.size + comment_bytes != len(tail):
        raise ZipMalformedError("Bytes follow the archive, or a second end is hidden in its comment.")
    if (disk, start_disk) != (0, 0) and (disk, start_disk) != (0xFFFF, 0xFFFF):
        raise ZipMalformedError("The archive is one of several parts.")
    if fields[0] != fields[1]:
        raise ZipMalformedError("The end of the archive names two numbers of members.")
    end_at = tail_at + place
    ending, behind = _wide(source, end_at, fields) or (Ending(*fields[1:]), end_at)
    _check(ending, behind, limits)
    return ending


def _wide(source: Source, end_at: int, fields: list[int]) -> tuple[Ending, int] | None:
    """What the Zip64 end says and where it begins; None without one."""
    locator_at = end_at - _LOCATOR.size
    found = source.read(locator_at, _LOCATOR.size) if locator_at >= 0 else b""
    if not found.startswith(_LOCATOR_MARK):
        return None
    _, disk, wide_at, disks = _LOCATOR.unpack(found)
    head = read_exactly(source, wide_at, _END64.size) if wide_at <= locator_at - _END64.size else b""
    if not head.startswith(_END64_MARK) or disk != 0 or disks > 1:
        raise ZipMalformedError("The end of the archive points at a Zip64 end that is none.")
    _, size, _, _, *disk_numbers, on_disk, members, directory_bytes, directory_offset = _END64.unpack(head)
    if wide_at + 12 + size != locator_at or disk_numbers != [0, 0] or on_disk != members:
        raise ZipMalformedError("The Zip64 end contradicts itself.")
    given = (on_disk, members, directory_bytes, directory_offset)
    if any(narrow not in {wide, limit} for narrow, wide, limit in zip(fields, given, _IN_64, strict=True)):
        raise ZipMalformedError("The two ends of the archive contradict each other.")
    return Ending(members, directory_bytes, directory_offset), wide_at


def _check(ending: Ending, behind: int, limits: ArchiveLimits) -> None:
    if ending.members > limits.members_max:
        raise ZipLimitError(f"The archive has more than {limits.members_max} members.")
    if ending.directory_bytes > limits.directory_bytes_max:
        raise ZipLimitError(f"The directory has more than {limits.directory_bytes_max} bytes.")
    if ending.directory_offset + ending.directory_bytes != behind:
        raise ZipMalformedError("The directory does not end where the end of the archive begins.")
