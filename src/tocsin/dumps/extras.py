"""The extra field of a header, of which only the wide sizes of Zip64 matter here."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from tocsin.dumps.faults import ZipMalformedError

_FIELD: Final = struct.Struct("<HH")
_ZIP64: Final = 0x0001
_AES: Final = 0x9901
NARROW_MAX: Final = 0xFFFFFFFF


def parse_extras(raw: bytes) -> dict[int, bytes]:
    """The fields by number; ZipMalformedError when they do not fill `raw`, or Zip64 comes twice.

    Up to three bytes at the end are let pass: some writers align their members with them.
    """
    fields: dict[int, bytes] = {}
    at = 0
    while at + _FIELD.size <= len(raw):
        number, length = _FIELD.unpack_from(raw, at)
        at += _FIELD.size
        if at + length > len(raw):
            raise ZipMalformedError("An extra field is longer than its header says.")
        if number == _ZIP64 and number in fields:
            raise ZipMalformedError("A member has two Zip64 fields.")
        fields[number] = raw[at : at + length]
        at += length
    return fields


def is_aes(fields: dict[int, bytes]) -> bool:
    """Whether the member is encrypted as WinZip does it."""
    return _AES in fields


def widen(fields: dict[int, bytes], narrow: Sequence[int]) -> list[int]:
    """Each value, or where it is 0xFFFFFFFF the next wide one of the Zip64 field.

    >>> widen({1: (5_000_000_000).to_bytes(8, "little")}, [0xFFFFFFFF, 7])
    [5000000000, 7]
    """
    wide = fields.get(_ZIP64)
    if wide is None:
        return list(narrow)
    values: list[int] = []
    at = 0
    for value in narrow:
        if value == NARROW_MAX:
            if at + 8 > len(wide):
                raise ZipMalformedError("A Zip64 field lacks a value.")
            value = int.from_bytes(wide[at : at + 8], "little")  # noqa: PLW2901 - the same value, wider
            at += 8
        values.append(value)
    return values
