"""What browser tests send to their server."""

from __future__ import annotations

import time
from typing import Final

import httpx

from tests.kit import Row, events_of
from tocsin.ndjson import encode_ndjson
from tocsin.testing import Server

PHONE: Final = {"width": 390, "height": 844}
MINUTE_MS: Final = 60_000


def quiet_until(minutes_ago: int) -> list[Row]:
    """A day and a half of readings, one a minute."""
    end_ms = int(time.time() * 1000) - minutes_ago * MINUTE_MS
    return [
        ("pump-7", end_ms - step * MINUTE_MS, {"temperature": 20.0 + step % 7 * 0.1})
        for step in range(2000, 0, -1)
    ]


def send(server: Server, rows: list[Row]) -> None:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
    answer = httpx.post(
        server.url + "/v1/events", content=encode_ndjson(events_of(rows)), headers=headers, timeout=120
    )
    assert answer.status_code == httpx.codes.OK, answer.text
