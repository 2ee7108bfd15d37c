"""One request after another over HTTP, again where that is right."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from tocsin_client.errors import ChangedError, RefusedError, UnavailableError
from tocsin_client.models import Change

Answer = TypeVar("Answer")
_AGAIN: Final = frozenset({408, 429, 502, 503, 504, 507})
_PAUSE_S_MIN: Final = 0.5
_PAUSE_S_MAX: Final = 30.0


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    detail: str = ""
    field: str = ""
    version: int | None = None
    changes: tuple[Change, ...] = ()


class Transport:
    """Asks until there is an answer, for at most `patience_s`; not thread-safe.

    Reading may be asked again, and so may acting with a key that names what is done: after a cut, and when
    the server is busy, restarts or has a full disk. `Retry-After` is obeyed.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience_s: float = 60.0,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._http: Final = http or httpx.Client(timeout=httpx.Timeout(30.0, connect=5.0))
        self._url: Final = url.rstrip("/")
        self._headers: Final = {"Authorization": f"Bearer {token}"}
        self._patience_s: Final = patience_s
        self._sleep: Final = sleep
        self._rng: Final = rng or random.Random()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._http.close()

    def _get(self, kind: type[Answer], path: str, query: Mapping[str, Any] | None = None) -> Answer:
        return self._asked(kind, "GET", path, params=_query(query or {}))

    def _post(
        self,
        kind: type[Answer],
        path: str,
        body: msgspec.Struct | None,
        *,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        return self._sent(kind, "POST", path, body, if_match, headers)

    def _patch(
        self, kind: type[Answer], path: str, body: msgspec.Struct, *, if_match: int | None = None
    ) -> Answer:
        return self._sent(kind, "PATCH", path, body, if_match, {})

    def _sent(
        self,
        kind: type[Answer],
        method: str,
        path: str,
        body: msgspec.Struct | None,
        if_match: int | None,
        headers: dict[str, str],
    ) -> Answer:
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if body is None:
            return self._asked(kind, method, path, headers=headers)
        headers["Content-Type"] = "application/json"
        return self._asked(kind, method, path, content=msgspec.json.encode(body), headers=headers)

    @contextmanager
    def _listening(self, path: str, query: Mapping[str, Any], last_id: str) -> Iterator[httpx.Response]:
        """A stream, once it has begun; RefusedError or httpx.TransportError otherwise."""
        headers = self._headers | {"Last-Event-ID": last_id}
        quiet = httpx.Timeout(30.0, read=60.0)  # a comment comes every 15 s
        with self._http.stream(
            "GET", self._url + path, params=_query(query), headers=headers, timeout=quiet
        ) as response:
            if response.is_error:
                response.read()
            yield response

    def _asked(self, kind: type[Answer], method: str, path: str, **sent: Any) -> Answer:
        headers = self._headers | sent.pop("headers", {})
        waiting = Waiting(self._patience_s, self._sleep, self._rng)
        while True:
            try:
                response = self._http.request(method, self._url + path, headers=headers, **sent)
            except httpx.TransportError as error:
                waiting.pause(str(error) or type(error).__name__, error)
                continue
            if response.status_code not in _AGAIN:
                return answer_of(kind, response)
            waiting.pause(f"the server answered {response.status_code}", after_s=retry_after_s(response))


class Waiting:
    """Pauses between tries, longer each time; UnavailableError when all of it would be too long."""

    def __init__(self, patience_s: float, sleep: Callable[[float], None], rng: random.Random) -> None:
        self._until_s: Final = time.monotonic() + patience_s
        self._patience_s: Final = patience_s
        self._sleep: Final = sleep
        self._rng: Final = rng
        self._pause_s = _PAUSE_S_MIN
        self._slept_s = 0.0

    def pause(self, reason: str, error: Exception | None = None, *, after_s: float = 0.0) -> None:
        """Sleep before the next try, at least `after_s`."""
        pause_s = max(after_s, self._pause_s * self._rng.uniform(0.5, 1.0))
        self._pause_s = min(_PAUSE_S_MAX, self._pause_s * 2)
        self._slept_s += pause_s
        if self._slept_s > self._patience_s or time.monotonic() + pause_s > self._until_s:
            raise UnavailableError(f"no answer within {self._patience_s:g} s: {reason}") from error
        self._sleep(pause_s)


def new_key() -> str:
    """A key for one thing that a person does; keep it with what is to be done while there is no network."""
    return secrets.token_urlsafe(16)


def segment(name: str) -> str:
    """A name as a part of a path, whatever is in it."""
    return quote(name, safe="") if name not in {".", ".."} else name.replace(".", "%2E")


def answer_of(kind: type[Answer], response: httpx.Response) -> Answer:
    """What a good answer says; RefusedError for any other."""
    if not response.is_success:
        raise refusal_of(response)
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise foreign(response) from error


def refusal_of(response: httpx.Response) -> RefusedError:
    """The error that a response stands for; one that is no problem of the server's comes from a proxy."""
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem(code="not_tocsin", detail=response.reason_phrase)
    told = (response.status_code, problem.code, problem.detail, problem.field)
    if response.status_code != HTTPStatus.PRECONDITION_FAILED:
        return RefusedError(*told)
    changed = ChangedError(*told)
    changed.version, changed.changes = problem.version, problem.changes
    return changed


def foreign(response: httpx.Response) -> RefusedError:
    """The error for a good answer that is none of Tocsin's, such as the page of a network to sign in to."""
    kind = response.headers.get("Content-Type", "no type")
    return RefusedError(response.status_code, "not_tocsin", f"the answer is none of Tocsin's ({kind})")


def retry_after_s(response: httpx.Response) -> float:
    """How long the server asks to wait, 0 where it does not."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _query(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }
