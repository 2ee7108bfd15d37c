"""The pages as a person uses them: a real server, a real browser, a phone's size."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.kit import Row, events_of
from tocsin.ndjson import encode_ndjson
from tocsin.testing import Server

pytestmark = pytest.mark.services

PHONE = {"width": 390, "height": 844}
LIVE_MS = 3_000
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has learnt a quiet pump up to some minutes ago."""
    with Server(tmp_path_factory.mktemp("pages") / "data") as running:
        send(running, quiet_until(minutes_ago=20))
        running.digest()  # waits until all is processed: kernels may still have to be compiled
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A signed-in visitor on a phone."""
    context = browser.new_context(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    visitor = context.new_page()
    visitor.goto(f"{server.url}/login#{server.key}")
    visitor.get_by_role("button", name="Sign in").click()
    yield visitor
    context.close()


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


def test_an_anomaly_appears_on_an_open_page_by_itself(page: Page, server: Server, tmp_path: Path) -> None:
    """Within three seconds the open fleet page shows it; its own page says why, with a chart."""
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    now_ms = int(time.time() * 1000)
    send(server, [("pump-7", now_ms - step * MINUTE_MS, {"temperature": 60.0}) for step in range(10, 0, -1)])
    link = page.get_by_role("link", name="temperature").first
    expect(link).to_be_visible(timeout=LIVE_MS)
    link.click()
    expect(page.get_by_text("above the").first).to_be_visible()
    expect(page.locator("svg[role=img]").first).to_be_visible()
    page.screenshot(path=str(tmp_path / "anomaly.png"), full_page=True)


@pytest.mark.parametrize("address", ["/", "/devices/pump-7", "/health"])
def test_pages_can_be_used_with_assistive_technology(address: str, page: Page, server: Server) -> None:
    """axe finds nothing to complain about."""
    page.goto(server.url + address)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_stranger_sees_nothing(browser: Browser, server: Server) -> None:
    """Without signing in every page leads to the sign-in page."""
    stranger = browser.new_page()
    stranger.goto(server.url + "/devices/pump-7")
    expect(stranger.get_by_role("button", name="Sign in")).to_be_visible()
    stranger.close()
