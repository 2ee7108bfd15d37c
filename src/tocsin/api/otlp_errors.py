"""Errors as exporters of OpenTelemetry read them: a `google.rpc.Status` in the request's own encoding."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.api.limits import LOGS_PATH
from tocsin.api.openapi import Answers
from tocsin.api.otlp import OTLP_TYPES, first_refused
from tocsin.api.problems import PROBLEM_JSON
from tocsin.ingest.parsing.log_body import OTLP_JSON, OTLP_PROTOBUF, media_type

_STATUS: Final[dict[str, Any]] = {
    OTLP_PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    OTLP_JSON: {"schema": {"type": "object", "properties": {"message": {"type": "string"}}}},
}


class OtlpErrors:
    """ASGI middleware: every problem that is answered to OTLP becomes a Status, whoever found it.

    The code of a Status is left out, as OTLP over HTTP allows; that of the problem begins its message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent_as = _sent_as(scope)
        if sent_as in OTLP_TYPES:
            await self._app(scope, receive, _Told(send, sent_as))
        else:
            await self._app(scope, receive, send)


def with_status(problems: Answers) -> Answers:
    """The same answers, which may also come as a Status."""
    return {status: {**answer, "content": answer["content"] | _STATUS} for status, answer in problems.items()}


class _Told:
    """Holds the head of a problem back until its body is there, and sends the Status instead."""

    def __init__(self, send: Send, sent_as: str) -> None:
        self._send = send
        self._sent_as = sent_as
        self._head: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message):
            self._head = message
        elif message["type"] == "http.response.body" and self._head is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_status(self._head)
        else:
            await self._send(message)

    async def _send_status(self, head: Message) -> None:
        body = _status(self._body, self._sent_as)
        told = {b"content-type": self._sent_as.encode(), b"content-length": b"%d" % len(body)}
        head["headers"] = [(name, told.get(name.lower(), value)) for name, value in head["headers"]]
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})


def _sent_as(scope: Scope) -> str:
    if scope["type"] != "http" or scope["path"] != LOGS_PATH:
        return ""
    given = (value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type")
    return media_type(next(given, ""))


def _is_problem(head: Message) -> bool:
    return (b"content-type", PROBLEM_JSON.encode()) in head["headers"]


def _status(problem: bytes, sent_as: str) -> bytes:
    told = msgspec.json.decode(problem, type=dict[str, Any])
    refused = first_refused(problem)
    status = Status(message=f"{told['code']}: {told['detail']}" + (f" {refused}." if refused else ""))
    body: bytes = status.SerializeToString() if sent_as == OTLP_PROTOBUF else MessageToJson(status).encode()
    return body
