"""Row hashes, their sums and the digests, as docs/explanation/digests.md defines them.

xxh3 is the one thing taken from elsewhere (the package xxhash, not the product's code).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import xxhash

_64 = 2**64 - 1
_128 = 2**128


class Key(NamedTuple):
    """Whose rows are summed: a series, or a device as a whole (application and parameter are empty)."""

    tenant: str
    application: str
    device: str
    parameter: str


class Sums(dict[Key, int]):
    """Sums of row hashes modulo 2^128."""

    def put(self, key: Key, number: int) -> None:
        """Add a hash."""
        self[key] = (self.get(key, 0) + number) % _128

    def total(self) -> str:
        """The sum of all, as hex."""
        return f"{sum(self.values()) % _128:032x}"


def names_hash(*names: str) -> int:
    """xxh3_128 of the names, each behind its length."""
    return xxhash.xxh3_128_intdigest(b"".join(_prefixed(name) for name in names))


def raw_hash(key: Key, ts: int, value: float) -> int:
    """A reading that was accepted."""
    return _mixed(_key_hash(key), ts & _64, _bits(value))


def verdict_hash(key: Key, ts: int, value: float, detector: str, verdict: int, score: float) -> int:
    """A verdict."""
    label = _label(detector) | verdict
    return _mixed(_key_hash(key), ts & _64, _bits(value), label, _bits(score))


def fields_hash(fields: tuple[str | int | bytes | None, ...]) -> int:
    """xxh3_128 of an array of values in MessagePack."""
    return xxhash.xxh3_128_intdigest(_array(len(fields)) + b"".join(map(_packed, fields)))


def combined(sums: Mapping[Key, int]) -> str:
    """SHA-256 over the sums in the order of their keys."""
    digest = hashlib.sha256()
    for key in sorted(sums):
        for name in key:
            digest.update(_prefixed(name))
        digest.update(sums[key].to_bytes(16, "little"))
    return digest.hexdigest()


def _prefixed(name: str) -> bytes:
    return struct.pack("<I", len(name.encode())) + name.encode()


def _bits(number: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", number))[0])


@cache
def _label(detector: str) -> int:
    return names_hash(detector) & _64 & ~0xFF


@cache
def _key_hash(key: Key) -> int:
    other = names_hash(key.application, key.parameter)
    return _mixed(names_hash(key.tenant, key.device), other & _64, other >> 64)


@lru_cache(1 << 16)
def _mixed(start: int, *words: int) -> int:
    """Words taken into the two halves of a number, into the upper one in reverse.

    Remembered, since a correction derives most rows as they were.
    """
    return _lane(start & _64, words) | _lane(start >> 64, words[::-1]) << 64


def _lane(start: int, words: tuple[int, ...]) -> int:
    """Words mixed into a lane one after another, with the constants of splitmix64."""
    for word in words:
        start = (start ^ word) * 0xBF58476D1CE4E5B9 & _64
        start = (start ^ start >> 30) * 0x94D049BB133111EB & _64
        start ^= start >> 31
    return start


def _array(length: int) -> bytes:
    return struct.pack(">B", 0x90 | length) if length < 16 else struct.pack(">BH", 0xDC, length)


def _packed(value: str | int | bytes | None) -> bytes:
    """The shortest form that MessagePack has."""
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return _packed_integer(value)
    content = value.encode() if isinstance(value, str) else value
    first, short = (0xD9, 32) if isinstance(value, str) else (0xC4, 0)
    if len(content) < short:
        return struct.pack(">B", 0xA0 | len(content)) + content
    for code, (form, bits) in enumerate((("B", 8), ("H", 16), ("I", 32)), first):
        if len(content) < 1 << bits:
            return struct.pack(f">B{form}", code, len(content)) + content
    raise AssertionError("longer than MessagePack allows")


def _packed_integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b", value)
    kinds = (0xCC, "BHIQ") if value >= 0 else (0xD0, "bhiq")
    for code, (form, bits) in enumerate(zip(kinds[1], (8, 16, 32, 64), strict=True), kinds[0]):
        if value < 1 << (bits if value >= 0 else 63) and (value >= 0 or value >= -(1 << (bits - 1))):
            return struct.pack(f">B{form}", code, value)
    raise AssertionError("an integer of more than 64 bits")
