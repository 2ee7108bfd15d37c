"""The documentation as a reader sees it: built, opened in a real browser, from a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def test_a_page_asks_nothing_of_the_network(browser: Browser, site: Path) -> None:
    """Reading the documents tells no third party: no font, script or picture comes from outside."""
    page, asked, errors = browser.new_page(), list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
    page.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_text_of_a_page_can_be_read_by_everyone(browser: Browser, site: Path) -> None:
    """Texts and pictures have names, order and contrast; the frame around them is the theme's."""
    page, violations = browser.new_page(), dict[str, list[str]]()
    for name in ("index.html", "glossary.html", "architecture/index.html"):
        page.goto((site / name).as_uri())
        found = Axe().run(page, context=".md-content__inner", options={"runOnly": ["wcag2a", "wcag2aa"]})
        if rules := [rule["id"] for rule in found.response["violations"]]:
            violations[name] = rules
    page.close()
    assert violations == {}
