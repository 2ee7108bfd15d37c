"""ZIP archives as the libraries of different devices make them; the same members give the same bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import zstandard

_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_DESCRIPTOR: Final = struct.Struct("<4sIII")
_END: Final = struct.Struct("<4sHHHHIIH")
_DATE: Final = 0x21  # 1980-01-01, the first that ZIP knows
_VERSION: Final = 20
_LATER: Final = 0x0008
_STORED, _DEFLATE, _ZSTD = 0, 8, 93
_GZIP: Final = 16 + zlib.MAX_WBITS


class Style(StrEnum):
    """How a device packs its logs. The whole must stay below 4 GiB."""

    DEFLATE = "deflate"
    STREAMED = "streamed"
    """Deflate, with the sizes behind the data, as a device writes that streams."""
    ZSTD = "zstd"
    STORED = "stored"
    ROTATED = "rotated"
    """Deflate; the older half of each log lies in a nested .gz."""


_METHODS: Final = {
    Style.DEFLATE: _DEFLATE,
    Style.STREAMED: _DEFLATE,
    Style.ZSTD: _ZSTD,
    Style.STORED: _STORED,
    Style.ROTATED: _DEFLATE,
}


def pack(members: Sequence[tuple[str, bytes]], style: Style) -> bytes:
    """The archive with these members, in this order. Holds all of it in memory."""
    rotated = _rotated(members) if style is Style.ROTATED else members
    body, directory = bytearray(), bytearray()
    for name, data in rotated:
        method = _STORED if name.endswith(".gz") else _METHODS[style]
        _add(body, directory, name.encode(), data, method, later=style is Style.STREAMED)
    count = len(rotated)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def _add(
    body: bytearray, directory: bytearray, name: bytes, data: bytes, method: int, *, later: bool
) -> None:
    offset, flags = len(body), _LATER if later else 0
    packed = _packed(data, method)
    told = (zlib.crc32(data), len(packed), len(data))
    first = (0, 0, 0) if later else told
    body += _LOCAL.pack(b"PK\3\4", _VERSION, flags, method, 0, _DATE, *first, len(name), 0) + name + packed
    if later:
        body += _DESCRIPTOR.pack(b"PK\7\x08", *told)
    directory += _CENTRAL.pack(
        b"PK\1\2", _VERSION, _VERSION, flags, method, 0, _DATE, *told, len(name), 0, 0, 0, 0, 0, offset
    )
    directory += name


def _packed(data: bytes, method: int) -> bytes:
    if method == _STORED:
        return data
    if method == _ZSTD:
        return zstandard.ZstdCompressor(level=3).compress(data)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _rotated(members: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Each log as two: the older half packed as `name.1.gz`, then the newer one."""
    halves: list[tuple[str, bytes]] = []
    for name, data in members:
        cut = data.find(b"\n", len(data) // 2) + 1
        packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)  # its header has neither name nor time
        halves.append((f"{name}.1.gz", packer.compress(data[:cut]) + packer.flush()))
        halves.append((name, data[cut:]))
    return halves
