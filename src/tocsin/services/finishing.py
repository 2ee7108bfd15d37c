"""Waits for work in other threads to its end, also on behalf of a client that has gone."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from tocsin.threads import Future

Result = TypeVar("Result")


async def finished(work: Future[Result]) -> Result:
    """The result of work that can't be taken back; doesn't block the event loop.

    Who is cancelled meanwhile goes on waiting, and only then ends: what a request holds, such as a place or
    the bytes of its body, is in use until the work ends, and others must not get it before.
    """
    waiting = asyncio.wrap_future(work)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await asyncio.wait([waiting])
        raise
