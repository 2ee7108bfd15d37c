"""Archives for tests: good ones by the standard library, bad ones byte by byte."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import zstandard

LOGS: Mapping[str, bytes] = {
    "engine/engine.log": b"2026-11-22T10:00:00Z INFO start\r\n2026-11-22T10:00:01Z WARN slow 12.5 ms\n",
    "door.log": b"opened\nclosed\n",
}


def good_archive(members: Mapping[str, bytes] = LOGS, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """As a device's ordinary library makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def streamed_archive(members: Mapping[str, bytes] = LOGS, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The same, written to a pipe: sizes follow the data, in descriptors."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            piece = bytes(data)  # type: ignore[call-overload]
            self.data += piece
            return len(piece)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return bytes(pipe.data)


def content_digest(body: bytes) -> str:
    """The header that announces a body's hash (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@dataclass
class Part:
    """A member as the two headers tell of it; what is None is as it should be."""

    name: bytes = b"a.log"
    data: bytes = b"hello\n"
    method: int = 8
    packed: bytes | None = None
    flags: int = 0
    crc: int | None = None
    unpacked_bytes: int | None = None
    made_by: int = 0
    attributes: int = 0
    offset: int | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    local_crc: int | None = None
    local_sizes: tuple[int, int] | None = None
    descriptor: bytes = b""
    local_extra: bytes = b""
    extra: bytes = b""
    narrow: bool = False

    def payload(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method == 8:
            packer = zlib.compressobj(wbits=-15)
            return packer.compress(self.data) + packer.flush()
        if self.method == 93:
            return zstandard.ZstdCompressor().compress(self.data)
        return self.data

    def _told(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        size = len(self.data) if self.unpacked_bytes is None else self.unpacked_bytes
        return crc, len(self.payload()), size

    def local(self) -> bytes:
        crc, packed, size = self._told()
        crc = crc if self.local_crc is None else self.local_crc
        packed, size = self.local_sizes or (packed, size)
        name = self.name if self.local_name is None else self.local_name
        method = self.method if self.local_method is None else self.local_method
        head = struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\3\4", 20, self.flags, method, 0, 33, crc, packed, size, len(name), len(self.local_extra),
        )  # fmt: skip
        return head + name + self.local_extra + self.payload() + self.descriptor

    def central(self, offset: int) -> bytes:
        crc, packed, size = self._told()
        at = offset if self.offset is None else self.offset
        if self.narrow:
            packed = size = 0xFFFFFFFF
        head = struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\1\2", self.made_by, 20, self.flags, self.method, 0, 33, crc, packed, size,
            len(self.name), len(self.extra), 0, 0, 0, self.attributes, at,
        )  # fmt: skip
        return head + self.name + self.extra


@dataclass
class Hostile:
    """An archive in which anything may be wrong; what is None is as it should be."""

    parts: Sequence[Part] = field(default_factory=lambda: [Part()])
    before: bytes = b""
    gap: bytes = b""
    behind: bytes = b""
    comment: bytes = b""
    count: int | None = None
    directory_offset: int | None = None
    directory_bytes: int | None = None
    disk: int = 0
    wide: bytes = b""

    def build(self) -> bytes:
        body, central = self.before, b""
        for part in self.parts:
            central += part.central(len(body))
            body += part.local() + self.gap
        offset = len(body) if self.directory_offset is None else self.directory_offset
        size = len(central) if self.directory_bytes is None else self.directory_bytes
        count = len(self.parts) if self.count is None else self.count
        end = struct.pack(
            "<4sHHHHIIH", b"PK\5\6", self.disk, self.disk, count, count, size, offset, len(self.comment)
        )
        return body + central + self.wide + end + self.comment + self.behind


def overlapping(count: int = 200) -> bytes:
    """A quine-free bomb: every member of the directory is the same bytes."""
    kernel = Part(data=bytes(100_000))
    names = [Part(name=b"%d" % number, data=kernel.data, offset=0) for number in range(count)]
    body = Part(name=b"0", data=kernel.data).local()
    central = b"".join(part.central(0) for part in names)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(central), len(body), 0)
    return body + central + end


def nested_quotes() -> bytes:
    """Fifield's bomb: each member's stored block quotes the header of the next, so that they share bytes."""
    inner = Part(name=b"b", data=bytes(50_000))
    tail = inner.local()
    kernel = inner.payload()
    header = tail[: -len(kernel)]
    quoted = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF) + header
    outer = Part(name=b"a", data=header + inner.data, packed=quoted + kernel)
    body = outer.local()[: -len(kernel)] + kernel
    at = len(body) - len(tail)
    central = outer.central(0) + inner.central(at)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, len(central), len(body), 0)
    return body + central + end
