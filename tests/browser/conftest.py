"""A real server and a real browser of a phone's size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser_kit import PATIENCE_MS, phone, quiet_until, send
from tocsin.testing import Server


@pytest.fixture(autouse=True)
def _patient() -> Iterator[None]:
    """For as long as a test lasts."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=5_000)


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
    with phone(browser) as visitor:
        visitor.goto(f"{server.url}/login#{server.key}")
        visitor.get_by_role("button", name="Use the key").click()
        yield visitor
