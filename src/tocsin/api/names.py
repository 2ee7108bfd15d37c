"""Names and times in addresses: any name survives, any moment can be said."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import unquote

import numpy as np
from fastapi import Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.errors import InvalidInputError

NAME_CHARACTERS_MAX: Final = 256
_EPOCH_MS: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)


class EncodedNames:
    """ASGI middleware: a slash inside a name doesn't split the path.

    Servers decode the whole path before it is routed, so `a%2Fb` would become two segments. Here each
    segment is decoded by itself, with `/` and `%` encoded again; `Name` undoes that.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%" in raw:
            segments = raw.partition(b"?")[0].decode("latin-1").split("/")
            scope["path"] = "/".join(_protect(unquote(segment)) for segment in segments)
        await self._app(scope, receive, send)


def _protect(segment: str) -> str:
    return segment.replace("%", "%25").replace("/", "%2F")


def _restore(segment: str) -> str:
    """The name that `_protect` protected.

    >>> _restore(_protect("a/b%2F"))
    'a/b%2F'
    """
    return segment.replace("%2F", "/").replace("%25", "%")


Name = Annotated[
    str,
    Path(min_length=1, description="A name, percent-encoded; any UTF-8 text survives."),
    AfterValidator(_restore),
]


def parse_time(text: str, field: str) -> int:
    """Milliseconds since 1970 from RFC 3339 or from milliseconds; InvalidInputError for anything else.

    >>> parse_time("2026-11-22T10:00:00.250Z", "from")
    1795341600250
    >>> parse_time("-5", "from")
    -5
    """
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text.upper():
        raise InvalidInputError(
            "A time is RFC 3339 with an offset, such as 2026-11-22T10:00:00Z, or milliseconds since 1970.",
            field=field,
        )
    return round(moment.timestamp() * 1000)


def iso(ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds.

    >>> iso(1795341600250)
    '2026-11-22T10:00:00.250Z'
    """
    return f"{np.datetime64(ms, 'ms')}Z"


def iso_or_none(ms: int | None) -> str | None:
    """As `iso`; None stays None."""
    return None if ms is None else iso(ms)


def finite(value: float) -> float | None:
    """The number, None where there is none: JSON knows no NaN and no infinity."""
    return value if math.isfinite(value) else None
