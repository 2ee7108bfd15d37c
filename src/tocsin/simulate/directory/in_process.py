"""The simulated directory without a socket: for simulations whose time is not the machine's."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from tocsin.clock import Clock
from tocsin.directory.abstract import DirectoryApi, DirectoryError, Entry, Failure
from tocsin.directory.answers import read_device, read_list
from tocsin.simulate.directory.service import Reply, SimulatedService

_BYTES_MAX = 8 << 20


class SimulatedDirectoryApi(DirectoryApi):
    """Reads replies as the client over HTTP does; `clock` sleeps for as long as they take."""

    def __init__(
        self, service: SimulatedService, clock: Clock, *, token: str | None = None, timeout_s: float = 10.0
    ) -> None:
        self._service = service
        self._clock = clock
        self._token = token
        self._timeout_s = timeout_s

    def devices_of(self, technician: str) -> Sequence[Entry] | None:
        body = self._ask(f"/api/v1/technicians/{quote(technician, safe='')}/devices")
        return None if body is None else read_list(technician, body)

    def device(self, device: str) -> Entry | None:
        if device in {".", ".."}:
            return None
        body = self._ask(f"/api/v1/devices/{quote(device, safe='')}")
        return None if body is None else read_device(device, body)

    def close(self) -> None:
        pass

    def _ask(self, path: str) -> bytes | None:
        reply = self._service.answer(path, self._token)
        takes_s = reply.delay_s + reply.pause_s * len(reply.body)
        self._clock.sleep(min(takes_s, self._timeout_s))
        if takes_s > self._timeout_s:
            raise DirectoryError(Failure.TIMEOUT, f"no whole answer within {self._timeout_s:g} s")
        if reply.cut:
            raise DirectoryError(Failure.UNREACHABLE, "can't be reached: cut")
        return _body(reply)


def _body(reply: Reply) -> bytes | None:
    after = dict(reply.headers).get("Retry-After")
    after_s = None if after is None else float(after)
    failures = {401: Failure.REFUSED, 429: Failure.LIMITED, 500: Failure.UNAVAILABLE, 302: Failure.BROKEN}
    if reply.status == 404:
        return None
    if reply.status != 200:
        raise DirectoryError(failures[reply.status], f"answered {reply.status}", retry_after_s=after_s)
    if len(reply.body) > _BYTES_MAX:
        raise DirectoryError(Failure.TOO_LARGE, f"the answer has more than {_BYTES_MAX} bytes")
    return reply.body
