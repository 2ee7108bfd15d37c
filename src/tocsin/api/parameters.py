"""Query parameters that several lists share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from tocsin.api.cursor import CURSOR_CHARACTERS_MAX
from tocsin.clock import parse_time

_TIME = "RFC 3339 with an offset, or milliseconds since 1970."

From = Annotated[str | None, Query(alias="from", max_length=64, description=f"Not before. {_TIME}")]
To = Annotated[str | None, Query(max_length=64, description=f"Before. {_TIME}")]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="The `next` of the page before; never made up."),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Most entries of the page.")]


def time_or_none(text: str | None, field: str) -> int | None:
    """Milliseconds since 1970, None for None; InvalidInputError for what is no time."""
    return None if text is None else parse_time(text, field)
