"""Errors over HTTP: RFC 9457 problem details with a stable code and the field or line at fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from tocsin.api.security import SECURITY_HEADERS
from tocsin.errors import PROBLEM_BASE, TocsinError
from tocsin.observability.logging import get_logger
from tocsin.services.addresses import client_of
from tocsin.services.bundle import Services

PROBLEM_JSON: Final = "application/problem+json"

_CODES: Final = {
    400: "invalid_input",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    428: "precondition_required",
    429: "rate_limited",
    503: "overloaded",
    507: "storage_full",
}
_PHRASES: Final = {460: "Checksum Mismatch"}  # of tus, so the standard library has none
MissingPage = Callable[[Request], Response]
"""Makes the page that says that there is none."""

_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_AUDITED: Final = frozenset({401, 403, 413, 415})
_log: Final = get_logger("api")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The members of a problem; `extra` adds those of one kind of error (the lines of a bad body)."""
    members: dict[str, Any] = {
        "type": PROBLEM_BASE + code,
        "title": _PHRASES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        members["field"] = field
    return members | dict(extra or {})


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response that carries a problem."""
    body = msgspec.json.encode(problem(status, code, detail, field=field))
    return Response(body, status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def error_response(error: TocsinError) -> Response:
    """The answer to an error that is an answer, with Retry-After and WWW-Authenticate where they belong."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None or error.status in {429, 503}:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 1)))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    return problem_response(error.status, error.code, error.detail, field=error.field, headers=headers)


def install(app: FastAPI, missing: MissingPage | None = None) -> None:
    """Answer every error as a problem; browsers that look for a page that there is not get `missing`."""
    app.state.missing = missing
    app.exception_handler(TocsinError)(_tocsin_error)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(Exception)(_unexpected)


async def _tocsin_error(request: Request, error: TocsinError) -> Response:
    _audit(request, error.status, error.code)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.status not in {503, 507}:
        _log.error("request_failed", path=request.url.path, code=error.code, exc_info=error)
        return problem_response(error.status, error.code, "Stored data could not be used; see the log.")
    return error_response(error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, ClientDisconnect):
        # the framework calls it an error of parsing; a proxy that still listens should ask again instead
        error = HTTPException(HTTPStatus.REQUEST_TIMEOUT, "The body was cut off.")
    code = _CODES.get(error.status_code, "error")
    _audit(request, error.status_code, code)
    if error.status_code == HTTPStatus.NOT_FOUND and request.app.state.missing and _wants_page(request):
        page: Response = await run_in_threadpool(request.app.state.missing, request)
        return page
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
    return problem_response(error.status_code, code, str(error.detail), headers=headers)


def _wants_page(request: Request) -> bool:
    """Browsers ask for HTML by name; programs take whatever comes."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


async def refuse_method(_: Request) -> Response:
    """The endpoint of a method that an address does not have, where another route would take it."""
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


def _methods_of(request: Request) -> list[str]:
    """Every method that the path has; the framework names those of the first route alone."""
    return [method for method in _METHODS if _is_taken(request, method)]


def _is_taken(request: Request, method: str) -> bool:
    scope = dict(request.scope, method=method)
    takes = (route for route in request.app.routes if route.matches(scope)[0] is Match.FULL)
    first = next(takes, None)
    return first is not None and getattr(first, "endpoint", None) is not refuse_method


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    if isinstance(first.get("input"), bytes) and not _says_json(request):
        # the framework reads no JSON from it, and would call the bytes no object
        detail = "The body is JSON: send it with `Content-Type: application/json`."
        return problem_response(400, "invalid_input", detail, field="Content-Type")
    field = ".".join(str(part) for part in first["loc"] if part not in {"query", "path", "body", "header"})
    # its sentences speak of "value" or "field"; a place in broken JSON is a number that would explain nothing
    named = field and first["type"] != "json_invalid"
    detail = f"{field}: {first['msg']}" if named else str(first["msg"])
    return problem_response(400, "invalid_input", detail, field=field or None)


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", path=request.url.path, method=request.method, exc_info=error)
    # this answer is made outside of all middleware, so it brings the headers itself
    headers = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
    detail = "Something went wrong here; the log of the server says what."
    return problem_response(500, "internal_error", detail, headers=headers)


def _audit(request: Request, status: int, code: str) -> None:
    if status not in _AUDITED:
        return
    services: Services = request.app.state.services
    action = f"http.{request.method.lower()}"
    principal = getattr(request.state, "principal", None)
    services.audit.refused(principal, action, request.url.path, client_of(request.scope), code)
