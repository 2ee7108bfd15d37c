"""Names in addresses: any name survives. Times in answers."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from fastapi import Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.services.addresses import protected_path, restored


class EncodedNames:
    """ASGI middleware: a slash inside a name doesn't split the path; `Name` has the name again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%" in raw:
            scope["path"] = protected_path(raw)
        await self._app(scope, receive, send)


Name = Annotated[
    str,
    Path(min_length=1, description="A name, percent-encoded; any UTF-8 text survives."),
    AfterValidator(restored),
]


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
