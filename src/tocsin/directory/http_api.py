"""The third party's two endpoints over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import httpx

from tocsin.clock import Clock
from tocsin.directory.abstract import DirectoryApi, DirectoryError, Entry, Failure
from tocsin.directory.answers import read_device, read_list

BYTES_MAX: Final = 8 << 20
_RETRY_AFTER_S_MAX: Final = 3_600.0
_UNASKABLE: Final = frozenset({".", ".."})
"""Names that are a way through folders in an address, however they are written."""


class HttpDirectoryApi(DirectoryApi):
    """Asks once: no second try, no redirects, no proxy or credential from the environment.

    An answer has `timeout_s` for all of itself, so one that comes byte by byte ends too.
    """

    def __init__(
        self, url: str, clock: Clock, *, token: str | None = None, timeout_s: float = 10.0, at_once: int = 8
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/",
            headers=headers,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            follow_redirects=False,
            trust_env=False,
        )

    def devices_of(self, technician: str) -> Sequence[Entry] | None:
        body = self._ask(f"api/v1/technicians/{quote(technician, safe='')}/devices", "application/x-ndjson")
        return None if body is None else read_list(technician, body)

    def device(self, device: str) -> Entry | None:
        if device in _UNASKABLE:
            return None
        body = self._ask(f"api/v1/devices/{quote(device, safe='')}", "application/json")
        return None if body is None else read_device(device, body)

    def close(self) -> None:
        self._client.close()

    def _ask(self, path: str, accept: str) -> bytes | None:
        """The body of a 200, None for a 404."""
        end_s = self._clock.monotonic_s() + self._timeout_s
        try:
            with self._client.stream("GET", path, headers={"Accept": accept}) as answer:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                _check(answer)
                return self._read(answer, end_s)
        except httpx.TimeoutException as error:
            raise _late(self._timeout_s) from error
        except httpx.RequestError as error:
            raise DirectoryError(Failure.UNREACHABLE, f"can't be reached: {type(error).__name__}") from error

    def _read(self, answer: httpx.Response, end_s: float) -> bytes:
        pieces, size_bytes = [], 0
        for piece in answer.iter_bytes():
            size_bytes += len(piece)
            if size_bytes > BYTES_MAX:
                raise DirectoryError(Failure.TOO_LARGE, f"the answer has more than {BYTES_MAX} bytes")
            if self._clock.monotonic_s() > end_s:
                raise _late(self._timeout_s)
            pieces.append(piece)
        return b"".join(pieces)


def _late(timeout_s: float) -> DirectoryError:
    return DirectoryError(Failure.TIMEOUT, f"no whole answer within {timeout_s:g} s")


def _check(answer: httpx.Response) -> None:
    """DirectoryError for every status but 200; its text is not repeated: anybody may have written it."""
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    detail = f"answered {status}"
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise DirectoryError(Failure.REFUSED, f"{detail}: check the token")
    after_s = _retry_after_s(answer)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise DirectoryError(Failure.LIMITED, detail, retry_after_s=after_s)
    if answer.is_server_error:
        raise DirectoryError(Failure.UNAVAILABLE, detail, retry_after_s=after_s)
    raise DirectoryError(Failure.BROKEN, f"{detail}, which the endpoint does not know")


def _retry_after_s(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() else None
