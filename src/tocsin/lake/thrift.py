"""Thrift's compact protocol, as far as the headers and the footer of a Parquet file need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TRUE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 5, 6, 8, 9, 12

Struct = Mapping[int, "Value"]
"""Values by field id, ascending; a value that is None is left out."""


@dataclass(frozen=True, slots=True)
class Long:
    """An integer of 64 bits; a plain int is one of 32."""

    value: int


Value = int | Long | bool | str | Struct | Sequence["Value"] | None


def encode(struct: Struct) -> bytes:
    """The struct's bytes.

    >>> encode({1: 5, 3: "ab", 20: {1: Long(-1)}}).hex()
    '150a280261620c2816010000'
    """
    parts = []
    last = 0
    for number, value in struct.items():
        if value is None:
            continue
        kind = _kind(value)
        step = number - last
        parts.append(bytes([step << 4 | kind]) if step <= 15 else bytes([kind]) + varint(_zigzag(number)))
        if kind != _TRUE:
            parts.append(_body(value))
        last = number
    return b"".join(parts) + b"\0"


def varint(number: int) -> bytes:
    """A non-negative number, 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _kind(value: Value) -> int:
    if value is True:
        return _TRUE
    for kind, types in ((_I64, Long), (_I32, int), (_BINARY, str), (_STRUCT, Mapping)):
        if isinstance(value, types):
            return kind
    return _LIST


def _body(value: Value) -> bytes:
    if isinstance(value, Long):
        return varint(_zigzag(value.value))
    if isinstance(value, int):
        return varint(_zigzag(value))
    if isinstance(value, str):
        encoded = value.encode()
        return varint(len(encoded)) + encoded
    if isinstance(value, Mapping):
        return encode(value)
    return _list(value or ())


def _list(values: Sequence[Value]) -> bytes:
    kind = _kind(values[0]) if values else _I32
    head = (
        bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]) + varint(len(values))
    )
    return head + b"".join(map(_body, values))
