"""Small files that say what a name stands for, each with a hash."""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.errors import CorruptError
from tocsin.storage.hashing import row_hash

CONTENT_BYTES_MAX: Final = 64 << 10


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    """As MessagePack in the file."""

    name: str
    content: bytes
    hash: bytes


_DECODER: Final = msgspec.msgpack.Decoder(_Claim)


def encode_claim(name: str, content: bytes) -> bytes:
    """The file's bytes."""
    return msgspec.msgpack.encode(_Claim(name, content, row_hash((name, content))))


def decode_claim(data: bytes, place: str) -> tuple[str, bytes]:
    """Name and content; CorruptError naming `place` if a byte was altered."""
    try:
        claim = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"{place} is damaged: {error}") from error
    if row_hash((claim.name, claim.content)) != claim.hash:
        raise CorruptError(f"{place} does not match its hash")
    return claim.name, claim.content
