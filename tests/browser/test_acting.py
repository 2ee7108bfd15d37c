"""What a technician does with an anomaly, on a phone; and what another one sees of it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser_kit import MINUTE_MS, PATIENCE_MS, phone, send
from tocsin.testing import Server

pytestmark = pytest.mark.services

LIVE_MS = 3_000


@pytest.fixture(scope="module")
def anomaly(server: Server) -> str:
    """The address of an anomaly's page."""
    now_ms = int(time.time() * 1000)
    send(server, [("pump-7", now_ms - step * MINUTE_MS, {"temperature": 60.0}) for step in range(10, 0, -1)])
    headers = {"Authorization": f"Bearer {server.key}"}
    for _ in range(PATIENCE_MS // 100):
        found = httpx.get(f"{server.url}/v1/anomalies", headers=headers).json()["anomalies"]
        if found:
            return f"{server.url}/anomalies/{found[0]['id']}"
        time.sleep(0.1)
    raise AssertionError("no anomaly came")


@pytest.fixture
def other(browser: Browser, server: Server) -> Iterator[Page]:
    """Another person, with a key of her own."""
    wanted = {"kind": "api_key", "name": "maria", "roles": ["technician"]}
    headers = {"Authorization": f"Bearer {server.key}"}
    made = httpx.post(f"{server.url}/v1/credentials", json=wanted, headers=headers).json()
    with phone(browser) as visitor:
        visitor.goto(f"{server.url}/login#{made['token']}")
        visitor.get_by_role("button", name="Use the key").click()
        yield visitor


def test_two_people_and_one_anomaly(
    page: Page, other: Page, server: Server, anomaly: str, tmp_path: Path
) -> None:
    """What one does appears on the other's open page; who is too late is told, and loses no word."""
    page.goto(server.url + "/inbox?show=unseen")
    page.get_by_role("link", name="temperature").first.click()
    other.goto(anomaly)
    expect(other.get_by_role("heading", name="Open")).to_be_visible()

    page.get_by_label("Note").fill("on my way")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("heading", name="Acknowledged")).to_be_visible()
    expect(other.get_by_role("heading", name="Acknowledged")).to_be_visible(timeout=LIVE_MS)
    expect(other.get_by_text("on my way")).to_be_visible()

    other.get_by_label("Note").fill("I was there")
    page.get_by_label("Note").fill("bearing replaced")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("heading", name="Resolved")).to_be_visible()
    expect(other.get_by_text("has changed meanwhile")).to_be_visible(timeout=LIVE_MS)
    expect(other.get_by_label("Note")).to_have_value("I was there")
    other.get_by_role("button", name="Resolve").click()
    expect(other.get_by_role("alert")).to_contain_text("bearing replaced")
    expect(other.get_by_label("Note")).to_have_value("I was there")
    other.screenshot(path=str(tmp_path / "too-late.png"), full_page=True)
    other.get_by_role("button", name="Comment").click()
    expect(page.get_by_text("I was there")).to_be_visible(timeout=LIVE_MS)

    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_role("heading", name="Open")).to_be_visible()  # the page before has the same word
    page.get_by_text("Snooze or assign").click()
    page.screenshot(path=str(tmp_path / "offered.png"), full_page=True)
    page.get_by_role("button", name="Snooze").click()
    expect(page.get_by_role("heading", name="Snoozed until")).to_be_visible()
    page.get_by_text("Snooze or assign").click()
    page.get_by_label("Assigned to").fill("maria")
    page.get_by_role("button", name="Assign").click()
    expect(page.get_by_text("assigned to maria")).to_be_visible()


def test_an_action_works_without_scripts(browser: Browser, server: Server, anomaly: str) -> None:
    """The forms are plain ones: an old phone, or one that blocks scripts, does the same."""
    with phone(browser, 320, scripts=False) as visitor:
        visitor.goto(f"{server.url}/login")
        visitor.get_by_text("Sign in with an API key").click()
        visitor.get_by_label("API key").fill(server.key)
        visitor.get_by_role("button", name="Use the key").click()
        visitor.goto(anomaly)
        visitor.get_by_label("Note").fill("without scripts")
        visitor.get_by_role("button", name="Comment").click()
        expect(visitor.get_by_text("without scripts")).to_be_visible()
        assert visitor.evaluate("document.documentElement.scrollWidth") <= 320


def test_what_it_was_is_said_without_scripts_on_a_narrow_phone(
    browser: Browser, server: Server, anomaly: str
) -> None:
    """What an answer would change is shown first, the answer stays chosen; then it is saved and listed."""
    with phone(browser, 320, scripts=False) as visitor:
        visitor.goto(f"{server.url}/login")
        visitor.get_by_text("Sign in with an API key").click()
        visitor.get_by_label("API key").fill(server.key)
        visitor.get_by_role("button", name="Use the key").click()
        visitor.goto(anomaly)
        visitor.get_by_role("link", name="What was it?").click()
        visitor.get_by_label("A fault, confirmed").check()
        visitor.get_by_label("Note").fill("bearing")
        visitor.get_by_role("button", name="Show what it would change").click()
        expect(visitor.get_by_text("Nothing has been saved yet")).to_be_visible()
        expect(visitor.get_by_label("A fault, confirmed")).to_be_checked()
        assert visitor.evaluate("document.documentElement.scrollWidth") <= 320
        visitor.get_by_role("button", name="Save").click()
        expect(visitor.get_by_text("is not learnt for 30 days: bearing")).to_be_visible()
        server.digest()  # waits until all is processed
        visitor.reload()
        expect(visitor.get_by_role("heading", name="What people said that is in force")).to_be_visible()
        assert visitor.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_heading_is_no_larger_than_the_one_above_it(page: Page, anomaly: str) -> None:
    """With what an answer would change, the page has three levels."""
    page.goto(f"{anomaly}/feedback")
    page.get_by_label("A false alarm").check()
    page.get_by_role("button", name="Show what it would change").click()
    expect(page.locator("h3").first).to_be_visible()
    size = "level => parseFloat(getComputedStyle(document.querySelector(`main ${level}`)).fontSize)"
    first, second, third = (page.evaluate(size, level) for level in ("h1", "h2", "h3"))
    assert first > second > third


def test_acting_can_be_done_with_assistive_technology(page: Page, server: Server, anomaly: str) -> None:
    """axe finds nothing to complain about, on the anomaly's page, its question and in the inbox."""
    for address in (anomaly, f"{anomaly}/feedback", server.url + "/inbox?show=all"):
        page.goto(address)
        if page.get_by_text("Snooze or assign").count():
            page.get_by_text("Snooze or assign").click()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
