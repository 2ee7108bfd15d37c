"""Lines of logs through a server that is killed: nothing is lost, nothing is cut elsewhere."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tocsin.testing import Server

pytestmark = pytest.mark.services  # several starts of a server

DEVICES: Final = ("press-1", "press-2")
START_MS: Final = 1_795_341_600_000  # 2026-11-22T10:00:00Z
SETTINGS: Final = {
    "TOCSIN_WATCH__DUMP_DETECTORS": '{"logs": {}}',
    "TOCSIN_LOGS__WINDOW_S": "60",
    "TOCSIN_LOGS__QUIET_S": "3600",  # the window that stays open is not to end, however long workers compile
    "TOCSIN_LOGS__MEMORY_BYTES": str(1 << 20),
}


def bodies(count: int) -> list[bytes]:
    """Requests with 20 s of lines of both devices each; the last one begins a window that stays open."""
    found = []
    for number in range(count):
        lines: list[dict[str, Any]] = []
        for second in range(20 * number, 20 * number + 20):
            for device in DEVICES:
                text = f"cycle {second} done, force {40 + second % 7}.{second % 10} kN"
                ms = START_MS + 1000 * second
                lines.append({"device": device, "component": "engine", "time": ms, "text": text})
                if second % 30 == 29:
                    lines.append({"device": device, "component": "door", "time": ms + 1, "text": "closed"})
        found.append(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return found


def send(server: Server, number: int, body: bytes) -> httpx.Response:
    """A body under its number, so that it may be sent again."""
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Type": "application/x-ndjson",
        "Tocsin-Producer": "sender",
        "Tocsin-Sequence": str(number),
    }
    return httpx.post(f"{server.url}/v1/logs", content=body, headers=headers, timeout=60)


def cut(server: Server, count: int) -> list[tuple[str, int, str, str]]:
    """Device, number, state and hash of the dumps that have been made, once there are so many of each."""
    headers = {"Authorization": f"Bearer {server.key}"}
    end_s = time.monotonic() + 300  # workers compile the detector first
    while True:
        found = []
        for device in DEVICES:
            answer = httpx.get(f"{server.url}/v1/devices/{device}/dumps", headers=headers, timeout=60)
            dumps = answer.json()["dumps"] if answer.status_code == 200 else []
            found += [(device, each["sequence"], each["state"], each["sha256"]) for each in dumps]
        if len(found) == count * len(DEVICES) and {state for _, _, state, _ in found} == {"processed"}:
            return found
        assert time.monotonic() < end_s, found
        time.sleep(0.2)


def test_kills_between_requests_change_nothing(tmp_path: Path) -> None:
    """Killed after any answer, with a repeat of what it had answered: the same dumps, by number and hash."""
    sent = bodies(13)
    with Server(tmp_path / "calm", SETTINGS) as calm:
        for number, body in enumerate(sent):
            assert send(calm, number, body).status_code == 200
        expected = cut(calm, 4)
        digest = calm.digest()
    with Server(tmp_path / "killed", SETTINGS) as killed:
        for number, body in enumerate(sent):
            assert send(killed, number, body).status_code == 200
            if number % 3 == 1:
                killed.kill()
                killed.start()
                again = send(killed, number, body)
                assert (again.status_code, again.headers["Tocsin-Repeated"]) == (200, "true")
        assert cut(killed, 4) == expected
        assert killed.digest()["digest_dumps"] == digest["digest_dumps"]
