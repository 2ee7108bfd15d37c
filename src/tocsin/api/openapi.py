"""The description of the API: OpenAPI 3.1, with the errors that every operation can answer."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.dependencies import asks_who, security_schemes
from tocsin.api.problems import PROBLEM_JSON
from tocsin.errors import PROBLEM_BASE

_MEANINGS: Final = {
    400: "The request can't be understood; `field` names the place.",
    401: "No credential, or one that is unknown, expired or revoked.",
    403: "The credential is good, but not for this.",
    404: "There is no such object, or none that this credential may see.",
    405: "The address exists, but not with this method.",
    408: "The body did not arrive in time.",
    409: "The same key came with another body, or the object has changed.",
    412: "The object has changed since it was read, or the request is in another version of tus.",
    413: "The body is over its limit, also after decompression.",
    415: "Content type or encoding is none of those that are read.",
    422: "What arrived is not what was announced, or the archive can't be read; `code` says which.",
    428: "If-Match is missing: others may have changed the object meanwhile.",
    429: "This credential has used up its share; Retry-After says when to try again.",
    460: "The piece is not what its checksum says; nothing of it was kept.",
    503: "A bounded queue is full or the store can't be used; Retry-After says when to try again.",
    507: "The disk is full; nothing was kept.",
}
_ALWAYS: Final = (400, 401, 403, 429, 503)


class LineError(BaseModel):
    """What is wrong with one line of a body. Lines count from 1."""

    line: int
    code: str
    field: str = ""
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details. `code` is stable; `errors` tells the lines of a refused body."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": PROBLEM_BASE + "invalid_input",
                    "title": "Bad Request",
                    "status": 400,
                    "code": "invalid_input",
                    "detail": "The time range is a positive whole number and m, h or d, such as 4h.",
                    "field": "time_range",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = Field(None, description="The parameter or member at fault.")
    received: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    repeated: int | None = None
    errors: list[LineError] | None = None
    errors_left_out: int | None = None


Answers = dict[int | str, dict[str, Any]]


def answers(*more: int) -> Answers:
    """The problems an operation can answer: those all have, and `more`."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANINGS[status], "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in sorted({*_ALWAYS, *more})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The document that /openapi.json serves."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (LineError, Problem):
        definition = model.model_json_schema(ref_template="#/components/schemas/{model}")
        definition.pop("$defs", None)
        schemas[model.__name__] = definition
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _require_credentials(document, app)
    for operations in document["paths"].values():
        for operation in operations.values():
            # the framework would answer 422; here every malformed request is a 400
            if operation["responses"].get("422", {}).get("description") != _MEANINGS[422]:
                operation["responses"].pop("422", None)
    return document


def _require_credentials(document: dict[str, Any], app: FastAPI) -> None:
    """Say of each operation that asks who sends it that it wants a credential, of whichever kind."""
    schemes = security_schemes()
    document["components"]["securitySchemes"] = schemes
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema and asks_who(route.dependant):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation["security"] = [{name: []} for name in schemes]
