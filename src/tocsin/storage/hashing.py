"""A hash in every row, so that what the disk altered is noticed when it is read."""

from __future__ import annotations

from typing import Any

import msgspec
import xxhash

from tocsin.errors import CorruptError


def row_hash(columns: tuple[Any, ...]) -> bytes:
    """xxh3_128 over the columns in a form that keeps their types and borders apart.

    SQL knows it as `row_hash(…)`, for triggers that hash whatever way a row was changed.
    """
    return xxhash.xxh3_128_digest(msgspec.msgpack.encode(columns))


def check_row(row: tuple[Any, ...], place: str) -> tuple[Any, ...]:
    """The columns before the last, which must be their hash; else CorruptError naming `place`."""
    columns = row[:-1]
    if row_hash(columns) != row[-1]:
        raise CorruptError(f"{place} does not match its hash")
    return columns
