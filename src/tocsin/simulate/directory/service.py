"""What the simulated directory answers to a request, whatever carries it."""

from __future__ import annotations

import json
import random
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tocsin import threads
from tocsin.clock import Clock
from tocsin.simulate.directory.faults import DirectoryFault, Trouble
from tocsin.simulate.directory.mapping import SimulatedMapping

_NDJSON: Final = "application/x-ndjson"
_JSON: Final = "application/json"
_HUGE_BYTES: Final = 9 << 20
_STATUS: Final = {
    DirectoryFault.ERROR: 500,
    DirectoryFault.BUSY: 429,
    DirectoryFault.REFUSED: 401,
    DirectoryFault.REDIRECT: 302,
    DirectoryFault.MISSING: 404,
}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: after `delay_s` the status and the first `sent` bytes of the body, then a cut if `cut`.

    `pause_s` passes between any two bytes. A cut before any byte also takes the status with it.
    """

    status: int = 200
    body: bytes = b""
    kind: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    pause_s: float = 0.0
    sent: int | None = None
    cut: bool = False


class SimulatedService:
    """The two endpoints and nothing else. Thread-safe; counts what it is asked in `asked`."""

    def __init__(
        self,
        mapping: SimulatedMapping,
        clock: Clock,
        *,
        seed: int = 1,
        trouble: Trouble | None = None,
        token: str | None = None,
    ) -> None:
        self.mapping: Final = mapping
        self.trouble = trouble or Trouble()
        self.asked = {"technicians": 0, "devices": 0, "other": 0}
        self._clock = clock
        self._rng = random.Random(f"{seed} faults")
        self._token = token
        self._lock = threads.lock()

    def answer(self, path: str, token: str | None = None) -> Reply:
        """The reply to a GET of `path`, as it came in the request line."""
        with self._lock:
            now_ms = self._clock.now_ms()
            self.mapping.advance(now_ms)
            kind, name = _endpoint(path)
            self.asked[kind] += 1
            if kind == "other":
                return Reply(status=404)
            if self._token is not None and token != self._token:
                return Reply(status=401)
            fault = self.trouble.draw(self._rng, now_ms)
            return self._spoilt(self._true(kind, name), fault)

    def _true(self, kind: str, name: str) -> Reply:
        delay_s = self.trouble.delay_s * self._rng.uniform(0.5, 1.5)
        if kind == "technicians":
            devices = self.mapping.devices_of(name)
            if devices is None:
                return Reply(status=404, delay_s=delay_s)
            lines = [_line({"deviceId": each, "location": self.mapping.location(each)}) for each in devices]
            return Reply(body=b"".join(lines), kind=_NDJSON, delay_s=delay_s)
        owner = self.mapping.owner(name)
        if owner is None:
            return Reply(status=404, delay_s=delay_s)
        said = {"deviceId": name, "responsibleTechnicianId": owner, "location": self.mapping.location(name)}
        return Reply(body=_line(said), delay_s=delay_s)

    def _spoilt(self, reply: Reply, fault: DirectoryFault | None) -> Reply:
        if fault is None:
            return reply
        if fault in _STATUS:
            headers = {
                DirectoryFault.BUSY: (("Retry-After", "2"),),
                DirectoryFault.REDIRECT: (("Location", "http://127.0.0.1:9/"),),
            }
            return Reply(status=_STATUS[fault], headers=headers.get(fault, ()), delay_s=reply.delay_s)
        changes = self._timed(reply, fault) or {"body": self._wrong(reply.body, fault)}
        return msgspec.structs.replace(reply, **changes)

    def _timed(self, reply: Reply, fault: DirectoryFault) -> dict[str, Any]:
        half = len(reply.body) // 2
        changes: dict[DirectoryFault, dict[str, Any]] = {
            DirectoryFault.SLOW: {"delay_s": self.trouble.slow_s},
            DirectoryFault.TRICKLE: {"pause_s": self.trouble.timeout_s / max(1, len(reply.body))},
            DirectoryFault.TIMEOUT: {"delay_s": self.trouble.timeout_s, "sent": 0, "cut": True},
            DirectoryFault.CUT: {"sent": half, "cut": True},
        }
        return changes.get(fault, {})

    def _wrong(self, body: bytes, fault: DirectoryFault) -> bytes:
        lines = body.splitlines(keepends=True)
        some = self._rng.randrange(len(lines)) if lines else 0
        wrong = {
            DirectoryFault.BROKEN: lambda: [*lines[:some], b'{"deviceId": 7, \xff\n', *lines[some:]],
            DirectoryFault.TRUNCATED: lambda: [*lines[:-1], *(line[:-2] for line in lines[-1:])],
            DirectoryFault.REPEATED: lambda: [*lines, *lines],
            DirectoryFault.SHORT: lambda: lines[: len(lines) // 2] if len(lines) > 1 else lines,
            DirectoryFault.STOLEN: lambda: self._stolen(lines),
            DirectoryFault.PAGE: lambda: [b"<html>503 Sorry</html>\n"],
            DirectoryFault.NO_GUID: lambda: [_line({"deviceId": "x", "responsibleTechnicianId": "Bob"})],
            DirectoryFault.HUGE: lambda: [body, b" " * _HUGE_BYTES, b"\n"],
        }
        return b"".join(wrong[fault]())

    def _stolen(self, lines: list[bytes]) -> list[bytes]:
        """One more device on a list, or another technician for a device."""
        device, technician = self.mapping.some(self._rng)
        said = [json.loads(line) for line in lines]
        if any("responsibleTechnicianId" in each for each in said):
            return [_line(each | {"responsibleTechnicianId": technician}) for each in said]
        if any(each["deviceId"] == device for each in said):
            return lines
        return [*lines, _line({"deviceId": device, "location": self.mapping.location(device)})]


def _endpoint(path: str) -> tuple[str, str]:
    parts = path.split("?", maxsplit=1)[0].split("/")
    if parts[:4] == ["", "api", "v1", "technicians"] and parts[5:] == ["devices"]:
        return "technicians", unquote(parts[4]).lower()
    if parts[:4] == ["", "api", "v1", "devices"] and len(parts) == 5:
        return "devices", unquote(parts[4])
    return "other", ""


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
