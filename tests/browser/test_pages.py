"""The pages as a person uses them: a real server, a real browser, a phone's size."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser_kit import MINUTE_MS, send
from tocsin.testing import Server

pytestmark = pytest.mark.services

LIVE_MS = 3_000


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
