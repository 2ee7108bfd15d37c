"""The few files that pages load, from the package itself; their address changes with their content."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import xxhash
from starlette.requests import Request
from starlette.responses import Response

from tocsin.errors import NotFoundError

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES: Final = {
    entry.name: entry.read_bytes()
    for entry in files("tocsin.web").joinpath("static").iterdir()
    if entry.name.endswith(tuple(_TYPES))
}


def asset(name: str) -> str:
    """The address of a file, with a hash, so that browsers may keep it for good."""
    return f"/static/{name}?v={xxhash.xxh3_64_hexdigest(_FILES[name])}"


async def serve_asset(request: Request) -> Response:
    """One file; NotFoundError for anything that is not in the package."""
    name = request.path_params["name"]
    if name not in _FILES:
        raise NotFoundError("There is no such file.")
    kind = _TYPES[name[name.rindex(".") :]]
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_FILES[name], media_type=kind, headers=headers)
