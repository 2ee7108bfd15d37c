"""A member of an archive as its directory describes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Method(IntEnum):
    """How a member is packed; no other way is read."""

    STORED = 0
    DEFLATE = 8
    ZSTD = 93


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. Sizes are in bytes; `offset` is where its local header begins.

    `name` is for people and for finding the component: never a path to write to. `raw_name` are its bytes.
    """

    name: str
    raw_name: bytes
    method: Method
    flags: int
    crc32: int
    packed_bytes: int
    unpacked_bytes: int
    offset: int

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder, which holds no bytes."""
        return self.raw_name.endswith(b"/")

    @property
    def has_descriptor(self) -> bool:
        """Whether sizes and checksum follow the data instead of preceding them."""
        return bool(self.flags & 0x0008)
