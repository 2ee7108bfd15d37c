"""Counts and times every request, by route and never by name, and opens its trace."""

from __future__ import annotations

import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.observability.meters import Meters
from tocsin.observability.metrics import HTTP_BODY_BYTES, HTTP_DURATION, HTTP_REQUESTS
from tocsin.observability.tracing import Tracing

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNTIMED: Final = "/v1/stream"
BEGAN_S: Final = "tocsin.began_s"
"""Where in a scope it stands when a request began, if that was before it came here."""


class RequestMeter:
    """ASGI middleware; what matches no route is counted together, so that labels stay few."""

    def __init__(self, app: ASGIApp, meters: Meters, tracing: Tracing) -> None:
        self._app = app
        self._meters = meters
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        measured = _Measured(self._meters, scope, receive, send)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with self._tracing.request(Headers(scope=scope), {"http.request.method": method}) as span:
            try:
                await self._app(scope, measured.receive, measured.send)
            finally:
                span.set_attribute("http.route", measured.route)
                span.set_attribute("http.response.status_code", measured.status)
                measured.finish(method)


class _Measured:
    def __init__(self, meters: Meters, scope: Scope, receive: Receive, send: Send) -> None:
        self._meters = meters
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = 500
        self._body_bytes = 0
        self._start_s: float = scope.get(BEGAN_S) or time.perf_counter()

    @property
    def route(self) -> str:
        """The template of the route that answered."""
        return getattr(self._scope.get("route"), "path", "unmatched")

    @property
    def status(self) -> int:
        """What was answered, 500 while nothing was."""
        return self._status

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)

    def finish(self, method: str) -> None:
        self._meters.add(HTTP_REQUESTS, 1, route=self.route, method=method, status=str(self._status))
        if self._body_bytes:
            self._meters.add(HTTP_BODY_BYTES, self._body_bytes)
        if self.route != _UNTIMED:
            self._meters.record(HTTP_DURATION, time.perf_counter() - self._start_s, route=self.route)
