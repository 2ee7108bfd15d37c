"""Bounds on requests: how many at once, how many bytes, how long a body may take, and whose share it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.access.shares import TenantShares
from tocsin.api.problems import problem_response

_RETRY_AFTER: Final = {"Retry-After": "1"}
EVENTS_PATH: Final = "/v1/events"
LOGS_PATH: Final = "/v1/logs"
TELEMETRY_PATHS: Final = frozenset({EVENTS_PATH, LOGS_PATH})
STREAM_PATH: Final = "/v1/stream"
ALIVE_PATH: Final = "/healthz"
_DUMP_PATH: Final = re.compile(r"/v1/(?:devices/[^/]+/dumps/[^/]+|dumps(?:/.*)?)")
_UNGUARDED: Final = frozenset({STREAM_PATH, ALIVE_PATH})
Holder = tuple[str, str]
"""Whose share it is: a tenant and one of its credentials, or no tenant and an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds of one process. A body of telemetry may be large, a dump larger, any other body is small.

    `idle_s` bounds the wait for the next piece of a body, `body_s` that for the whole. A body may lag behind
    `bytes_per_s_min` by `idle_s`: that frees what a trickling client holds. `bytes_in_flight_max` counts
    bodies from their first byte (or their declared length) to the end of the answer; of a dump, which is
    written while it comes, `dump_held_bytes` at most. `dump_s` is its `body_s`.
    """

    events_bytes_max: int = 64 << 20
    body_bytes_max: int = 1 << 20
    bytes_in_flight_max: int = 256 << 20
    requests_max: int = 256
    idle_s: float = 10.0
    body_s: float = 30.0
    bytes_per_s_min: int = 1024
    dump_bytes_max: int = 1 << 30
    dump_held_bytes: int = 4 << 20
    dump_s: float = 3600.0

    def bytes_max(self, path: str) -> int:
        """The largest body that `path` takes."""
        if path in TELEMETRY_PATHS:
            return self.events_bytes_max
        return self.dump_bytes_max if _DUMP_PATH.fullmatch(path) else self.body_bytes_max

    def held_max(self, path: str) -> int:
        """How much of a body may be in memory."""
        return self.dump_held_bytes if _DUMP_PATH.fullmatch(path) else self.bytes_max(path)

    def seconds_max(self, path: str) -> float:
        """How long a body may take."""
        return self.dump_s if _DUMP_PATH.fullmatch(path) else self.body_s


class RequestGuard:
    """ASGI middleware that applies RequestLimits, with or without a Content-Length.

    Requests and bytes are shared fairly between tenants, between the credentials of each, and between the
    addresses of those who come without one: more than a share is a 429, no room for anybody a 503. Refusals
    come at once, before any byte of the body is read. A listener to the stream counts against the bound of
    the stream instead of `requests_max`. Whether the process is alive is always answered: it costs nothing,
    and whoever asks would restart it.
    """

    def __init__(self, app: ASGIApp, limits: RequestLimits, holder_of: Callable[[Scope], Holder]) -> None:
        self._app = app
        self._limits = limits
        self._holder_of = holder_of
        self._requests = TenantShares(limits.requests_max)
        self._bytes = TenantShares(limits.bytes_in_flight_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNGUARDED:
            await self._app(scope, receive, send)
            return
        holder = self._holder_of(scope)
        if not self._requests.take(*holder):
            await _refusal(full=self._requests.full())(scope, receive, send)
            return
        body = _Body(receive, self._limits, scope["path"], self._bytes, holder, content_length(scope))
        try:
            await self._run(scope, body, send)
        finally:
            self._requests.give_back(*holder)
            body.release()

    async def _run(self, scope: Scope, body: _Body, send: Send) -> None:
        try:
            body.reserve(body.declared)
        except HTTPException as error:
            # raised where the body is read, so that a caller without a credential learns nothing else
            body.refusal = error
        await self._app(scope, body.receive, send)


def _refusal(*, full: bool) -> Response:
    if full:
        return problem_response(503, "overloaded", "Too many requests at once.", headers=_RETRY_AFTER)
    detail = "Too many of your requests at once: others need room too."
    return problem_response(429, "rate_limited", detail, headers=_RETRY_AFTER)


@dataclass(slots=True)
class _Body:
    """Hands on the pieces of one body while they are within bounds and on time."""

    inner: Receive
    limits: RequestLimits
    path: str
    shares: TenantShares
    holder: Holder
    declared: int  # the length that the head says, 0 when it does not
    held: int = 0
    seen: int = 0
    started_s: float = 0.0
    finished: bool = False
    refusal: HTTPException | None = None

    def reserve(self, bytes_total: int) -> None:
        """Hold `bytes_total` in all; HTTPException 413, 429 or 503 when that is too much."""
        bytes_max = self.limits.bytes_max(self.path)
        if bytes_total > bytes_max:
            raise HTTPException(413, f"The body is larger than {bytes_max} bytes.")
        more = min(bytes_total, self.limits.held_max(self.path)) - self.held
        if more <= 0:
            return
        if not self.shares.take(*self.holder, more):
            if self.shares.full(more):
                raise HTTPException(503, "Too many bytes are being worked on.", headers=_RETRY_AFTER)
            detail = "Too many of your bytes are being worked on: others need room too."
            raise HTTPException(429, detail, headers=_RETRY_AFTER)
        self.held += more

    def release(self) -> None:
        """Give back what is held."""
        if self.held:
            self.shares.give_back(*self.holder, self.held)
            self.held = 0

    async def receive(self) -> Message:
        if self.refusal is not None:
            raise self.refusal
        if self.finished:
            return await self.inner()
        message = await self._on_time()
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            self.reserve(self.seen)
            # A body is whole once its declared length is there: to ask for its end would cost a round of
            # threads, which is what an answer is made of.
            self.finished = self.seen == self.declared > 0 or not message.get("more_body", False)
            message["more_body"] = not self.finished
        return message

    async def _on_time(self) -> Message:
        now_s = asyncio.get_running_loop().time()
        self.started_s = self.started_s or now_s
        limits = self.limits
        whole_s = limits.seconds_max(self.path)
        until_s = self.started_s + min(whole_s, limits.idle_s + self.seen / limits.bytes_per_s_min)
        try:
            async with asyncio.timeout(min(limits.idle_s, until_s - now_s)):
                return await self.inner()
        except TimeoutError as error:
            raise HTTPException(408, "The body did not arrive in time.") from error


def content_length(scope: Scope) -> int:
    """The declared length, 0 when there is none; servers refuse a malformed one before this."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
