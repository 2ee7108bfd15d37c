"""How a body is read: no more is asked for than is needed, and no less."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from tocsin.api.limits import RequestGuard, RequestLimits


def read(declared: bytes | None, pieces: list[bytes]) -> tuple[bytes, int]:
    """What an application reads of a body that comes in pieces, and how often it was asked for."""
    found, asked = b"", 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal found
        more = True
        while more:
            message = await receive()
            found += message["body"]
            more = message["more_body"]

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        body = pieces[asked - 1] if asked <= len(pieces) else b""
        return {"type": "http.request", "body": body, "more_body": asked <= len(pieces)}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [] if declared is None else [(b"content-length", declared)]
    scope = {"type": "http", "path": "/v1/events", "headers": headers}
    guard = RequestGuard(application, RequestLimits(), lambda _: ("tenant", "key"))
    asyncio.run(guard(scope, receive, send))
    return found, asked


@pytest.mark.parametrize(
    ("declared", "pieces", "asked"),
    [
        (b"6", [b"abc", b"def"], 2),
        (None, [b"abc", b"def"], 3),
        (b"0", [], 1),
        (b"9", [b"abc", b"def"], 3),
    ],
    ids=["declared", "chunked", "empty", "shorter than declared"],
)
def test_the_end_of_a_body_is_asked_for_only_when_its_head_does_not_tell(
    declared: bytes | None, pieces: list[bytes], asked: int
) -> None:
    """The server hands on each piece through another thread, so one question less is felt."""
    assert read(declared, pieces) == (b"".join(pieces), asked)
