"""The directory of an archive: every member described, checked before a byte of any is unpacked."""

from __future__ import annotations

import struct
from typing import Final

from tocsin.dumps.ending import Ending
from tocsin.dumps.entry import Entry, Method
from tocsin.dumps.extras import is_aes, parse_extras, widen
from tocsin.dumps.faults import ZipEncryptedError, ZipLimitError, ZipMalformedError, ZipUnsupportedError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.names import check_kind, check_name, decode_name
from tocsin.dumps.source import Source, read_exactly
from tocsin.visible import visible

_HEADER: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_MARK: Final = b"PK\1\2"
_ENCRYPTED: Final = 0x2041  # plain, strong, and with a hidden directory
_PATCH: Final = 0x0020


def read_directory(source: Source, ending: Ending, limits: ArchiveLimits) -> list[Entry]:
    """The members in the order of their bytes. Raises an ArchiveError that names the first fault."""
    raw = read_exactly(source, ending.directory_offset, ending.directory_bytes)
    entries: list[Entry] = []
    at = 0
    while at < len(raw):
        if len(entries) == ending.members:
            raise ZipMalformedError("The directory has more members than the archive says.")
        entry, at = _entry(raw, at, limits)
        entries.append(entry)
    if len(entries) != ending.members:
        raise ZipMalformedError("The directory has fewer members than the archive says.")
    if len({entry.raw_name for entry in entries}) != len(entries):
        raise ZipMalformedError("Two members have one name.")
    if sum(entry.unpacked_bytes for entry in entries) > limits.bytes_max:
        raise ZipLimitError(f"The members have more than {limits.bytes_max} bytes.")
    return sorted(entries, key=lambda entry: entry.offset)


def _entry(raw: bytes, at: int, limits: ArchiveLimits) -> tuple[Entry, int]:
    if len(raw) - at < _HEADER.size:
        raise ZipMalformedError("The directory ends within a member.")
    mark, made_by, _, flags, method, _, _, crc, packed, unpacked, *lengths, disk, _, attributes, offset = (
        _HEADER.unpack_from(raw, at)
    )
    name_end = at + _HEADER.size + lengths[0]
    extra_end = name_end + lengths[1]
    end = extra_end + lengths[2]
    if mark != _MARK or end > len(raw):
        raise ZipMalformedError("The directory holds something that is no member.")
    raw_name = raw[at + _HEADER.size : name_end]
    extras = parse_extras(raw[name_end:extra_end])
    name = decode_name(raw_name, flags)
    check_name(raw_name, name, limits)
    check_kind(made_by, attributes, name)
    unpacked, packed, offset = widen(extras, (unpacked, packed, offset))
    if disk not in {0, 0xFFFF}:
        raise ZipMalformedError("The archive is one of several parts.")
    entry = Entry(name, raw_name, _method(flags, method, extras, name), flags, crc, packed, unpacked, offset)
    _check_sizes(entry, limits)
    return entry, end


def _method(flags: int, method: int, extras: dict[int, bytes], name: str) -> Method:
    if flags & _ENCRYPTED or is_aes(extras):
        raise ZipEncryptedError(f"The member '{visible(name)}' is encrypted.")
    if flags & _PATCH or method not in {known.value for known in Method}:
        detail = f"The member '{visible(name)}' is packed by method {method}"
        raise ZipUnsupportedError(f"{detail}: stored (0), deflate (8) and zstd (93) are read.")
    return Method(method)


def _check_sizes(entry: Entry, limits: ArchiveLimits) -> None:
    shown = visible(entry.name)
    if entry.is_folder and entry.unpacked_bytes:
        raise ZipMalformedError(f"The folder '{shown}' holds bytes.")
    if entry.method is Method.STORED and entry.packed_bytes != entry.unpacked_bytes:
        raise ZipMalformedError(f"The member '{shown}' is stored, but has two sizes.")
    if entry.unpacked_bytes > limits.member_bytes_max:
        raise ZipLimitError(f"The member '{shown}' has more than {limits.member_bytes_max} bytes.")
    over = entry.unpacked_bytes > limits.ratio_from_bytes
    if over and entry.unpacked_bytes > limits.ratio_max * entry.packed_bytes:
        raise ZipLimitError(f"The member '{shown}' is packed more than {limits.ratio_max} times.")
