"""Where the bytes of each member lie: they fill the archive from its first byte, without gap or overlap.

A directory may name the same bytes for thousands of members, or leave bytes that belong to none and that
another reader would see. Neither passes here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from tocsin.dumps.entry import Entry
from tocsin.dumps.extras import NARROW_MAX, parse_extras, widen
from tocsin.dumps.faults import ZipMalformedError
from tocsin.dumps.source import Source, read_exactly
from tocsin.visible import visible

_HEADER: Final = struct.Struct("<4sHHHHHIIIHH")
_MARK: Final = b"PK\3\4"
_DESCRIPTOR_MARK: Final = b"PK\7\x08"
_DESCRIPTORS: Final = (struct.Struct("<III"), struct.Struct("<IQQ"))
_SAME_FLAGS: Final = 0x2869  # encryption, descriptor, patch, names, hidden directory


def data_offsets(source: Source, entries: Sequence[Entry], directory_offset: int) -> Iterator[int]:
    """Where the packed bytes of each member begin, for members in the order of their bytes.

    Raises ZipMalformedError when a local header says something else than the directory, or when the
    bytes between two headers are not exactly those of one member.
    """
    expected = 0
    for number, entry in enumerate(entries, start=1):
        end = entries[number].offset if number < len(entries) else directory_offset
        if entry.offset != expected:
            raise ZipMalformedError(f"Bytes before '{visible(entry.name)}' belong to no member, or to two.")
        start = _check_local(source, entry)
        _check_behind(source, entry, start + entry.packed_bytes, end)
        yield start
        expected = end
    if expected != directory_offset:
        raise ZipMalformedError("Bytes before the directory belong to no member.")


def _check_local(source: Source, entry: Entry) -> int:
    shown = visible(entry.name)
    header = read_exactly(source, entry.offset, _HEADER.size)
    mark, _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes = _HEADER.unpack(header)
    if mark != _MARK:
        raise ZipMalformedError(f"The member '{shown}' does not begin where the directory says.")
    rest = read_exactly(source, entry.offset + _HEADER.size, name_bytes + extra_bytes)
    unpacked, packed = widen(parse_extras(rest[name_bytes:]), (unpacked, packed))
    given = (crc, packed, unpacked)
    told = (entry.crc32, entry.packed_bytes, entry.unpacked_bytes)
    later = {0, NARROW_MAX} if entry.has_descriptor else set()
    sizes_fit = all(mine == theirs or mine in later for mine, theirs in zip(given, told, strict=True))
    same = (flags ^ entry.flags) & _SAME_FLAGS == 0 and method == entry.method
    if not (sizes_fit and same and rest[:name_bytes] == entry.raw_name):
        raise ZipMalformedError(f"The header of '{shown}' contradicts the directory.")
    return entry.offset + _HEADER.size + len(rest)


def _check_behind(source: Source, entry: Entry, data_end: int, end: int) -> None:
    """Between the data and the next header lies the descriptor, where there is one, and nothing else."""
    length = end - data_end
    if length == 0 and not entry.has_descriptor:
        return
    shown = visible(entry.name)
    if length < 0:
        raise ZipMalformedError(f"The member '{shown}' reaches into what follows it.")
    allowed = {size + form.size for form in _DESCRIPTORS for size in (0, len(_DESCRIPTOR_MARK))}
    if not entry.has_descriptor or length not in allowed:
        raise ZipMalformedError(f"Bytes behind '{shown}' belong to no member.")
    raw = read_exactly(source, data_end, length)
    told = (entry.crc32, entry.packed_bytes, entry.unpacked_bytes)
    for form in _DESCRIPTORS:
        if length - form.size == len(_DESCRIPTOR_MARK) and raw.startswith(_DESCRIPTOR_MARK):
            raw = raw[len(_DESCRIPTOR_MARK) :]
        if len(raw) == form.size and form.unpack(raw) == told:
            return
    raise ZipMalformedError(f"What follows '{shown}' contradicts the directory.")
