"""The first that telemetry meets: it waits here for its turn, at the price of a few microseconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.access.shares import TenantShares
from tocsin.api.limits import TELEMETRY_PATHS, Holder, content_length
from tocsin.api.measuring import BEGAN_S
from tocsin.api.problems import problem_response
from tocsin.api.turnstile import Turnstile
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import HTTP_REQUESTS

_ALONE: Final = 64
_SHARED: Final = 8
_WEIGHT_BYTES: Final = 16 << 10
_WEIGHT_UNKNOWN: Final = float(_SHARED)
_PAUSE_S: Final = 0.05
_RETRY_AFTER: Final = {"Retry-After": "2"}


class TelemetryTurns:
    """ASGI middleware: lets bodies of telemetry begin in fair turns of tenants and of their credentials.

    A crowd waits here instead of being refused, since whoever is refused comes again, and that costs more
    than a place in a queue. Large bodies of a tenant work one at a time while others come too.
    `holder_of` must not block. While a body does not come, others have its turn.
    Who waits for `waiting_s` gets 503, and so does who finds `waiting_max` waiting; who has its share of
    these already gets 429. `waiting` is kept to be the other ends of those who wait.
    """

    def __init__(
        self,
        app: ASGIApp,
        holder_of: Callable[[Scope], Holder],
        meters: Meters,
        waiting: set[tuple[str, int]],
        *,
        waiting_max: int = 8_192,
        waiting_s: float = 15.0,
    ) -> None:
        self._app = app
        self._holder_of = holder_of
        self._meters = meters
        self._waiting = waiting
        self._waiting_s = waiting_s
        self._turnstile = Turnstile(_ALONE, _SHARED)
        self._room = TenantShares(waiting_max)
        self._full = problem_response(503, "overloaded", "Too many requests wait.", headers=_RETRY_AFTER)
        detail = "Too many of your requests wait: others need room too."
        self._over_share = problem_response(429, "rate_limited", detail, headers=_RETRY_AFTER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in TELEMETRY_PATHS:
            await self._app(scope, receive, send)
            return
        scope[BEGAN_S] = time.perf_counter()
        tenant, holder = self._holder_of(scope)
        weight = _weight(scope)
        if not self._turnstile.enter_now(tenant, weight):
            refusal = await self._wait(tenant, holder, weight, scope.get("client"))
            if refusal is not None:
                status = str(refusal.status_code)
                self._meters.add(HTTP_REQUESTS, 1, route="unmatched", method=scope["method"], status=status)
                await refusal(scope, receive, send)
                return
        turn = _Turn(self._turnstile, tenant, weight, receive)
        try:
            await self._app(scope, turn.receive, send)
        finally:
            turn.pause()

    async def _wait(
        self, tenant: str, holder: str, weight: float, peer: tuple[str, int] | None
    ) -> Response | None:
        """Wait for the turn; the answer to who does not get one."""
        if not self._room.take(tenant, holder):
            return self._full if self._room.full() else self._over_share
        if peer is not None:
            self._waiting.add(peer)
        try:
            async with asyncio.timeout(self._waiting_s):
                await self._turnstile.enter(tenant, holder, weight)
        except TimeoutError:
            return self._full
        finally:
            self._room.give_back(tenant, holder)
            self._waiting.discard(peer or ("", 0))
        return None


class _Turn:
    """The turn of one request, which others have while its body does not come."""

    def __init__(self, turnstile: Turnstile, tenant: str, weight: float, inner: Receive) -> None:
        self._turnstile = turnstile
        self._tenant = tenant
        self._weight = weight
        self._inner = inner
        self._working = True

    def pause(self) -> None:
        """Let others work; idempotent."""
        if self._working:
            self._working = False
            self._turnstile.leave(self._tenant, self._weight)

    async def receive(self) -> Message:
        """The next piece of the body."""
        soon = asyncio.get_running_loop().call_later(_PAUSE_S, self.pause)
        try:
            return await self._inner()
        finally:
            soon.cancel()
            if not self._working:
                self._working = True
                self._turnstile.go_on(self._tenant, self._weight)


def _weight(scope: Scope) -> float:
    """1 for a small body, 1 more for each 16 KiB; a body whose length is not told may be a large one."""
    length = content_length(scope)
    return 1.0 + length / _WEIGHT_BYTES if length else _WEIGHT_UNKNOWN
