"""All rows of a statement as one text: SQLite lets go of the interpreter once for it, not at each row."""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from tocsin.errors import CorruptError

_rows: Final = msgspec.json.Decoder(list[tuple[Any, ...]]).decode


def rows_at_once(
    reader: apsw.Connection, statement: str, wanted: dict[str, Any], *, hash_at: int
) -> list[tuple[Any, ...]]:
    """The rows of a statement that makes one JSON array of arrays, with their hash in hex at `hash_at`.

    The statement casts it to bytes: as a text it would be held three times, once with four bytes a letter.
    Check them: numbers and texts went through another format. CorruptError for what it can't carry, such as
    an infinite number, or bytes where a text was. Whether a row that fails is damaged is known when it is
    read without this.
    """
    try:
        text: Any = reader.execute(statement, wanted).get
        return [(*row[:hash_at], bytes.fromhex(row[hash_at]), *row[hash_at + 1 :]) for row in _rows(text)]
    except (ValueError, apsw.SQLError, apsw.TooBigError) as error:
        # no UTF-8, no JSON, no hash; SQLite's own word for bytes in JSON, and for more of it than it makes
        raise CorruptError(f"rows can't be read at once: {error}") from error
