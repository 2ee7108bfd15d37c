"""A body that is worked on while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tocsin.access.principal import Principal
from tocsin.services.entrance import Entrance

_CUT_OFF = "The body was cut off."


async def whole_body(request: Request) -> bytes:
    """All of it; HTTPException when the client goes away before the end."""
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise HTTPException(408, _CUT_OFF) from error


class CountedBody:
    """The body as it comes, and how much there was."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._bytes = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """One after another; HTTPException when the client goes away before the end."""
        try:
            async for piece in self._request.stream():
                self._bytes += len(piece)
                yield piece
        except ClientDisconnect as error:
            raise HTTPException(408, _CUT_OFF) from error

    def charge(self, entrance: Entrance, principal: Principal) -> None:
        """Take what came from the credential's share, unless its length was declared and taken before."""
        if "content-length" not in self._request.headers:
            entrance.charge(principal, self._bytes)
