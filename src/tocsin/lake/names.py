"""Partition values as directory names that are safe whatever a device sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import xxhash

NULL_NAME: Final = "__HIVE_DEFAULT_PARTITION__"
ENCODED_BYTES_MAX: Final = 120

_SAFE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def encode_name(value: str) -> str:
    """The value percent-encoded as Hive and Delta do; empty becomes Hive's name for null.

    >>> encode_name("pump/7 é"), encode_name("")
    ('pump%2F7%20%C3%A9', '__HIVE_DEFAULT_PARTITION__')
    """
    if not value:
        return NULL_NAME
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in value.encode())


def has_own_partition(value: str) -> bool:
    """Whether readers get this value back from a directory name; else its rows go to the overflow.

    >>> has_own_partition("v1/β"), has_own_partition("é" * 40), has_own_partition(NULL_NAME)
    (True, False, False)
    """
    return value != NULL_NAME and len(encode_name(value)) <= ENCODED_BYTES_MAX


def directory_of(values: Mapping[str, str]) -> str:
    """The relative directory of a partition.

    A value whose encoding is too long for a directory is named by its hash, after a "~" that no
    encoding contains. The true value stands in the table log.

    >>> directory_of({"tenant": "a/b", "date": "2026-01-01"})
    'tenant=a%2Fb/date=2026-01-01'
    """
    return "/".join(f"{column}={_bounded(encode_name(value))}" for column, value in values.items())


def _bounded(encoded: str) -> str:
    if len(encoded) <= ENCODED_BYTES_MAX:
        return encoded
    return f"~{xxhash.xxh3_128_hexdigest(encoded.encode())}"
