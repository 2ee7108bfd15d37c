"""The first that telemetry meets: who waits there, who is refused, and who is let go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from tocsin.api.turns import TelemetryTurns
from tocsin.observability.meters import Meters

Answer = asyncio.Task[int]


@dataclass
class Door:
    """Telemetry's turns before an application that reads a body, waits to be told, and answers 200."""

    waiting_max: int = 100
    waiting_s: float = 60.0
    begun: list[str] = field(default_factory=list)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: set[tuple[str, int]] = field(default_factory=set)
    devices: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.turns = TelemetryTurns(
            self._application,
            lambda scope: (scope["tenant"], f"device-{next(self.devices)}"),
            Meters(),
            self.waiting,
            waiting_max=self.waiting_max,
            waiting_s=self.waiting_s,
        )

    def come(
        self,
        tenant: str,
        body: asyncio.Future[None] | None = None,
        *,
        path: str = "/v1/events",
        length: bytes = b"2",
    ) -> Answer:
        """A request whose body comes when `body` is done; a task that gives the status."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "tenant": tenant,
            "client": (tenant, 1),
            "headers": [(b"content-length", length)] if length else [],
        }
        return asyncio.create_task(self._request(scope, body))

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["tenant"])
        await receive()
        await self.may_end.wait()
        await send({"type": "http.response.start", "status": 200})

    async def _request(self, scope: Scope, body: asyncio.Future[None] | None) -> int:
        statuses: list[int] = []

        async def receive() -> Message:
            if body is not None:
                await body
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.turns(scope, receive, send)
        return statuses[0]


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play it in a loop of its own, for a minute at most."""
    asyncio.run(asyncio.wait_for(play(), 60))


async def rounds() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_crowd_waits_and_is_answered_while_another_tenant_passes_it() -> None:
    """Fifty come at once, eight begin; one of another tenant begins beside them; at last all have a 200."""

    async def play() -> None:
        door = Door()
        crowd = [door.come("crowd") for _ in range(50)]
        await rounds()
        assert door.begun == ["crowd"] * 8
        assert door.waiting == {("crowd", 1)}
        calm = door.come("calm")
        await rounds()
        assert door.begun == ["crowd"] * 8 + ["calm"]
        door.may_end.set()
        assert await asyncio.gather(calm, *crowd) == [200] * 51
        assert not door.waiting

    run(play)


def test_other_operations_do_not_wait() -> None:
    """Turns are telemetry's: a page is shown while a crowd waits."""

    async def play() -> None:
        door = Door()
        crowd = [door.come("a") for _ in range(20)]
        await rounds()
        page = door.come("a", path="/v1/anomalies")
        await rounds()
        assert len(door.begun) == 9
        door.may_end.set()
        assert await page == 200
        await asyncio.gather(*crowd)

    run(play)


@pytest.mark.parametrize("tenant", ["crowd", "other"])
def test_more_than_may_wait_is_refused_at_once(tenant: str) -> None:
    """A tenant gets 429 beyond three quarters of the room; one that comes anew still finds some."""

    async def play() -> None:
        door = Door(waiting_max=8)
        crowd = [door.come("crowd") for _ in range(8 + 6)]
        await rounds()
        crowd += [door.come("other") for _ in range(8)]  # all of its turns
        await rounds()
        one = door.come(tenant)
        await rounds()
        assert one.done() == (tenant == "crowd")
        door.may_end.set()
        assert await one == (429 if tenant == "crowd" else 200)
        assert 429 not in await asyncio.gather(*crowd)

    run(play)


def test_nobody_waits_for_ever() -> None:
    """A turn that does not come in time is a 503, and its place in the queue is free again."""

    async def play() -> None:
        door = Door(waiting_s=0.01, waiting_max=4)
        crowd = [door.come("a") for _ in range(9)]
        assert await crowd[8] == 503
        assert not door.waiting
        assert [await door.come("a") for _ in range(4)] == [503] * 4  # 429 if the room had no more
        door.may_end.set()
        assert await asyncio.gather(*crowd[:8]) == [200] * 8

    run(play)


def test_a_body_that_does_not_come_holds_nobody_up() -> None:
    """Eight that wait for their own senders give their turns to others, and go on once their bodies come."""

    async def play() -> None:
        door = Door()
        bodies = [asyncio.get_running_loop().create_future() for _ in range(8)]
        slow = [door.come("a", body) for body in bodies]
        await rounds()
        door.may_end.set()
        assert await door.come("a") == 200
        for body in bodies:
            body.set_result(None)
        assert await asyncio.gather(*slow) == [200] * 8

    run(play)


@pytest.mark.parametrize("length", [b"300000", b""], ids=["large", "not told"])
def test_large_bodies_work_one_at_a_time(length: bytes) -> None:
    """Beside one of a tenant's large bodies none of it begins; all end, and another tenant passes them."""

    async def play() -> None:
        door = Door()
        flood = [door.come("flood", length=length) for _ in range(5)]
        await rounds()
        calm = door.come("calm")
        await rounds()
        assert door.begun == ["flood", "calm"]
        door.may_end.set()
        assert await asyncio.gather(calm, *flood) == [200] * 6

    run(play)
