"""Work that takes long, asked for more often than a tenant's share allows."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest


class Held:
    """Takes the place of a method, which then goes on only when it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self._method = getattr(owner, name)
        self._going, self._end = threading.Semaphore(0), threading.Event()
        patch.setattr(owner, name, self)

    def __call__(self, *asked: Any) -> Any:
        self._going.release()
        self._end.wait(10)
        return self._method(*asked)

    async def begun(self) -> None:
        """Returns when one more has begun."""
        await anyio.to_thread.run_sync(self._going.acquire)

    def let_go(self) -> None:
        """Let all go on, and those that come later."""
        self._end.set()


async def check_share(ask: Callable[[], Awaitable[httpx.Response]], held: Held, share: int) -> None:
    """Beyond `share` at once a question is refused, not kept waiting; later it is answered."""
    answers: list[httpx.Response] = []

    async def asked() -> None:
        answers.append(await ask())

    async with anyio.create_task_group() as group:
        for _ in range(share):
            group.start_soon(asked)
            await held.begun()
        await asked()
        held.let_go()
    await asked()
    refused, *answered = answers
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert [each.status_code for each in answered] == [200] * (share + 1)
