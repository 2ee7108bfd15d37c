"""The page docs/reference/api.md, made from the description of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tocsin.api.app import bare_app

_HEAD: Final = """# HTTP API

The whole description, with schemas and examples, is OpenAPI 3.1 at `/openapi.json` of a running server.
Send a credential as `Authorization: Bearer …` (see [credentials](../how-to/credentials.md) and
[roles](roles.md)). Every error is a problem with a stable code (see [problems](../problems/index.md)).
Lists are read page by page: send the `next` of one page as the `cursor` of the following one. Names in
addresses are percent-encoded; times are RFC 3339 with an offset, or milliseconds since 1970.

This page is generated from `src/tocsin/api`; a test proves it up to date (`make reference` writes it anew).
"""
_COLUMNS: Final = "| operation | what it does | answers |\n|---|---|---|"


def render_reference() -> str:
    """The page, one table for each group of operations."""
    document = bare_app().openapi()
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_row(method, path, operation))
    parts = [_HEAD]
    for tag, rows in groups.items():
        parts.append("\n".join([f"## {tag.capitalize()}", "", _COLUMNS, *rows, ""]))
    return "\n".join(parts)


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(_parameters(operation))
    first_line = operation["description"].split("\n\n")[0].replace("\n", " ")
    statuses = ", ".join(sorted(operation["responses"]))
    return f"| `{method.upper()} {path}` | {first_line}{parameters} | {statuses} |"


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    names = [
        f"`{parameter['name']}`"
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    ]
    if names:
        yield f" Query: {', '.join(names)}."
