"""What browser tests send to their server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx
from playwright.sync_api import Browser, Page

from tests.kit import Row, events_of
from tocsin.ndjson import encode_ndjson
from tocsin.testing import Server

WIDTH: Final = 390
HEIGHTS: Final = {390: 844, 360: 740, 320: 600}
"""Of phones, by their width."""
PATIENCE_MS: Final = 180_000
"""On a busy machine a page takes its time; what has to be quick says so by a time of its own."""
MINUTE_MS: Final = 60_000


def quiet_until(minutes_ago: int) -> list[Row]:
    """A day and a half of readings, one a minute."""
    end_ms = int(time.time() * 1000) - minutes_ago * MINUTE_MS
    return [
        ("pump-7", end_ms - step * MINUTE_MS, {"temperature": 20.0 + step % 7 * 0.1})
        for step in range(2000, 0, -1)
    ]


@contextmanager
def phone(browser: Browser, width: int = WIDTH, *, scripts: bool = True) -> Iterator[Page]:
    """A page on a phone, of somebody who is signed in nowhere yet."""
    context = browser.new_context(
        java_script_enabled=scripts, viewport={"width": width, "height": HEIGHTS[width]}
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def send(server: Server, rows: list[Row]) -> None:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
    answer = httpx.post(
        server.url + "/v1/events", content=encode_ndjson(events_of(rows)), headers=headers, timeout=120
    )
    assert answer.status_code == httpx.codes.OK, answer.text
