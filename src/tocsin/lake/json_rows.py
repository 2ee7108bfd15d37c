"""Rows of a query as the JSON that the API answers."""

from __future__ import annotations

import base64
import math
from datetime import date, time
from typing import Any

import msgspec
import pyarrow as pa

from tocsin.errors import InvalidInputError


def json_rows(table: pa.Table) -> bytes:
    """`columns` with name and Arrow type, and `rows`, each a list in their order.

    InvalidInputError names a column with a value that can't be said, such as the date `infinity`.

    >>> json_rows(pa.table({"n": [1, None]}))
    b'{"columns":[{"name":"n","type":"int64"}],"rows":[[1],[null]]}'
    """
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    values = [_values(table.schema[number].name, column) for number, column in enumerate(table.columns)]
    return msgspec.json.encode({"columns": columns, "rows": list(zip(*values, strict=True))})


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return [plain(value) for value in column.to_pylist()]
    except (OverflowError, ValueError) as error:
        raise InvalidInputError(
            f"A value of the column {name} is out of range: cast the column to VARCHAR.", field="sql"
        ) from error


def plain(value: Any) -> Any:
    """A value of JSON: no NaN, times as RFC 3339, bytes as base64, whatever else as text.

    >>> from decimal import Decimal
    >>> plain([b"a", float("nan"), Decimal("1.5")])
    ['YQ==', None, '1.5']
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case _:
            return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)
