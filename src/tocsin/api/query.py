"""POST /v1/query: SQL over the tenant's lake and log; for operators."""

from __future__ import annotations

import base64
from datetime import date, time
from typing import Any

import pyarrow as pa
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import finite
from tocsin.api.openapi import answers
from tocsin.errors import InvalidInputError

router = APIRouter(tags=["lake"])


class QueryRequest(BaseModel):
    """One SELECT; docs/reference says which tables there are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"sql": "SELECT device, count(*) FROM readings GROUP BY device"}]},
    )

    sql: str = Field(min_length=1, max_length=100_000)


class Column(BaseModel):
    """A column's name and Arrow type."""

    name: str
    type: str


class QueryResult(BaseModel):
    """At most 10,000 rows, each a list in the order of the columns. Times are RFC 3339, bytes base64."""

    columns: list[Column]
    rows: list[list[Any]]


@router.post("/v1/query", summary="Ask with SQL", responses=answers(408, 413))
def run_query(services: ServicesOf, principal: PrincipalOf, wanted: QueryRequest) -> QueryResult:
    """Rows of the tenant's tables; what was accepted a moment ago is included."""
    return result_of(services.queries.run(principal, wanted.sql))


def result_of(table: pa.Table) -> QueryResult:
    """The table as JSON can say it."""
    columns = [Column(name=field.name, type=str(field.type)) for field in table.schema]
    values = [_values(table.schema[number].name, column) for number, column in enumerate(table.columns)]
    return QueryResult(columns=columns, rows=[list(row) for row in zip(*values, strict=True)])


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return [plain(value) for value in column.to_pylist()]
    except (OverflowError, ValueError) as error:  # such as the date `infinity`
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
            return finite(value)
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
