"""POST /v1/query: SQL over the tenant's lake and log; for operators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.openapi import answers

router = APIRouter(tags=["lake"])


class QueryRequest(BaseModel):
    """One SELECT; docs/reference says which tables there are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"sql": "SELECT device, count(*) FROM readings GROUP BY device"}]},
    )

    sql: str = Field(min_length=1, max_length=100_000)
    skip_damaged: StrictBool = Field(
        default=False,
        description="Leave out files of the lake that are known to be damaged, instead of failing.",
    )


class Column(BaseModel):
    """A column's name and Arrow type."""

    name: str
    type: str


class QueryResult(BaseModel):
    """At most 10,000 rows, each a list in the order of the columns. Times are RFC 3339, bytes base64."""

    columns: list[Column]
    rows: list[list[Any]]


@router.post("/v1/query", summary="Ask with SQL", response_model=QueryResult, responses=answers(408, 413))
def run_query(services: ServicesOf, principal: PrincipalOf, wanted: QueryRequest) -> Response:
    """Rows of the tenant's tables; what was accepted a moment ago is included."""
    rows = services.queries.run(principal, wanted.sql, skip_damaged=wanted.skip_damaged)
    return Response(rows, media_type="application/json")
