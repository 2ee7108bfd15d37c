"""Cursors of lists: opaque to callers, checked strictly when they come back."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec
import xxhash

from tocsin.errors import InvalidInputError

CURSOR_CHARACTERS_MAX: Final = 2048
"""The longest has 1,532: that of the dumps of a device whose name is 256 characters of 4 bytes each."""

_CHECK_BYTES: Final = 8
_NUMBER_END: Final = 1 << 63


def encode_cursor(kind: str, value: int | str, *, tenant: str = "") -> str:
    """Where the next page of the list `kind` starts; it fits no other list, and no other tenant's.

    >>> decode_number("anomalies", encode_cursor("anomalies", 17))
    17
    """
    cursor = _encoded(kind, value, tenant)
    if len(cursor) > CURSOR_CHARACTERS_MAX:
        raise RuntimeError(f"a cursor of {kind[:32]!r} has {len(cursor)} characters: no list would take it")
    return cursor


def decode_number(kind: str, cursor: str, *, tenant: str = "") -> int:
    """The number in a cursor; InvalidInputError for anything that was not made here for this list."""
    value = _decode(kind, cursor, tenant)
    if not isinstance(value, int) or not -_NUMBER_END <= value < _NUMBER_END:
        raise refused()
    return value


def decode_text(kind: str, cursor: str, *, tenant: str = "") -> str:
    """The text in a cursor; InvalidInputError as above."""
    value = _decode(kind, cursor, tenant)
    if not isinstance(value, str):
        raise refused()
    return value


def _encoded(kind: str, value: int | str, tenant: str) -> str:
    """MessagePack escapes nothing: in JSON a name of control characters takes six times its length."""
    payload = msgspec.msgpack.encode([kind, value])
    return base64.urlsafe_b64encode(payload + _check(payload, tenant)).rstrip(b"=").decode()


def _check(payload: bytes, tenant: str) -> bytes:
    return xxhash.xxh3_64_digest(payload + tenant.encode())


def _decode(kind: str, cursor: str, tenant: str) -> int | str:
    if len(cursor) > CURSOR_CHARACTERS_MAX or not cursor.isascii():
        raise refused()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        payload, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        if _check(payload, tenant) != check:
            raise refused()
        stored_kind, value = msgspec.msgpack.decode(payload, type=tuple[str, int | str])
    except (binascii.Error, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise refused() from error
    if stored_kind != kind or _encoded(kind, value, tenant) != cursor:
        raise refused()
    return value


def refused() -> InvalidInputError:
    """What to raise for a cursor that was not made here; for lists that look into the text of theirs."""
    return InvalidInputError(
        "This cursor was not made by this list; start again without a cursor.", field="cursor"
    )
