"""All rows of a statement as one text: SQLite lets go of the interpreter once for it, not at each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import apsw
import msgspec

from tocsin.errors import CorruptError

_T = TypeVar("_T")
_rows: Final = msgspec.json.Decoder(list[tuple[Any, ...]]).decode


def read_at_once(
    reader: apsw.Connection,
    at_once: str,
    row_by_row: str,
    wanted: dict[str, Any],
    *,
    hash_at: int,
    of_row: Callable[[tuple[Any, ...]], _T],
) -> list[_T]:
    """What `of_row`, which checks a row by its hash, makes of the rows that both statements give.

    `at_once` makes one JSON array of arrays, with their hash in hex at `hash_at`, and casts it to bytes: as a
    text it would be held three times, once with four bytes a letter. Where that can't be, since numbers and
    texts go through another format, the rows are read one by one. CorruptError for one that is damaged.
    """
    try:
        return [of_row(row) for row in _at_once(reader, at_once, wanted, hash_at)]
    except CorruptError:
        return [of_row(row) for row in reader.execute(row_by_row, wanted)]


def _at_once(
    reader: apsw.Connection, statement: str, wanted: dict[str, Any], hash_at: int
) -> list[tuple[Any, ...]]:
    """CorruptError for what JSON can't carry, such as an infinite number, or bytes where a text was."""
    try:
        text: Any = reader.execute(statement, wanted).get
        return [(*row[:hash_at], bytes.fromhex(row[hash_at]), *row[hash_at + 1 :]) for row in _rows(text)]
    except (ValueError, apsw.SQLError, apsw.TooBigError) as error:
        # no UTF-8, no JSON, no hash; SQLite's own word for bytes in JSON, and for more of it than it makes
        raise CorruptError(f"rows can't be read at once: {error}") from error
