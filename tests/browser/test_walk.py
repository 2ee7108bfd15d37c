"""A technician's day on a phone: what is wrong, why, what was done about it, and a directory that dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser_kit import MINUTE_MS, PATIENCE_MS, phone, quiet_until, send
from tocsin.clock import SystemClock
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService
from tocsin.testing import Server, free_port

pytestmark = pytest.mark.services

NARROW = 360
PASSWORD = "the bell rings at noon"
SHOTS = Path(__file__).parents[2] / "screenshots"


class ThirdParty:
    """A directory that can die and come back at the same address, with another mapping."""

    def __init__(self) -> None:
        self.mapping = SimulatedMapping(["pump-7", "pump-8"], 2)
        self._port = free_port()
        self._running = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def live(self) -> None:
        service = SimulatedService(self.mapping, SystemClock())
        self._running.enter_context(SimulatedDirectoryServer(service, port=self._port))

    def die(self) -> None:
        self._running.close()


class World:
    """A server with its directory; anna has pump-7 and ben has pump-8."""

    def __init__(self, server: Server, directory: ThirdParty) -> None:
        self.server = server
        self.directory = directory
        self.anna, self.ben = directory.mapping.technicians

    def ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.server.key}"}
        answer = httpx.request(method, self.server.url + path, headers=headers, timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    def let_in(self, name: str, roles: list[str], technician: str | None) -> str:
        """A person's one-time password."""
        shown = f"{name.capitalize()} of the northern halls"
        person = {"name": name, "display_name": shown, "roles": roles, "technician": technician}
        return str(self.ask("POST", "/v1/people", json=person)["one_time_password"])

    def devices(self, technician: str) -> list[str]:
        found = self.ask("GET", f"/v1/technicians/{technician}/devices")
        return [each["device"] for each in found["devices"]]


def wait_until(done: Callable[[], object], timeout_s: float = PATIENCE_MS / 1000) -> None:
    end_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = ThirdParty()
    settings = {
        "TOCSIN_DIRECTORIES__DEFAULT__URL": directory.url,
        "TOCSIN_DIRECTORIES__DEFAULT__SOFT_S": "15",
    }
    directory.live()
    with Server(tmp_path_factory.mktemp("walk") / "data", settings) as server:
        found = World(server, directory)
        now_ms = int(time.time() * 1000)
        hot = [("pump-7", now_ms - step * MINUTE_MS, {"temperature": 60.0}) for step in range(10, 0, -1)]
        send(server, quiet_until(minutes_ago=20))
        send(server, [("pump-8", now_ms, {"temperature": 20.0}), *hot])
        server.digest()
        wait_until(lambda: found.ask("GET", "/v1/anomalies")["anomalies"])
        wait_until(lambda: (found.devices(found.anna), found.devices(found.ben)) == (["pump-7"], ["pump-8"]))
        yield found
    directory.die()


def sign_in(page: Page, world: World, name: str, one_time: str) -> None:
    """With the one-time password, which is replaced."""
    page.goto(f"{world.server.url}/login?name={name}")
    page.get_by_label("Password").fill(one_time)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("One-time password").fill(one_time)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password, again").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()


def look(page: Page, name: str) -> None:
    """Keep a picture for people; nothing is cut off, and axe has nothing to complain about."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW, name
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def until_shown(page: Page, done: Callable[[], bool]) -> None:
    """Load the page anew until it is so: no event tells of a device that moved."""
    end_s = time.monotonic() + PATIENCE_MS / 1000
    while not done():
        assert time.monotonic() < end_s, page.locator("main").inner_text()
        page.wait_for_timeout(500)
        page.reload()


def test_a_technician_finds_understands_and_resolves_while_the_directory_dies(
    browser: Browser, world: World
) -> None:
    """Two people collide over one anomaly; then the directory dies, comes back, and devices change sides."""
    with phone(browser, NARROW) as anna, phone(browser, NARROW) as carla, phone(browser, NARROW) as ben:
        sign_in(anna, world, "anna", world.let_in("anna", ["technician"], world.anna))
        find_and_understand(anna)
        sign_in(carla, world, "carla", world.let_in("carla", ["operator"], None))
        collide(anna, carla)
        work_without_the_directory(anna, world)
        world.directory.mapping.move("pump-7", world.ben, 0)
        world.directory.mapping.move("pump-8", world.anna, 0)
        world.directory.live()
        anna.goto(world.server.url + "/inbox")
        until_shown(anna, lambda: anna.get_by_text("Nothing is unresolved at your devices.").is_visible())
        look(anna, "5-moved-away")
        sign_in(ben, world, "ben", world.let_in("ben", ["technician"], world.ben))
        until_shown(ben, ben.get_by_role("link", name="temperature").first.is_visible)
        resolve(ben)


def find_and_understand(anna: Page) -> None:
    """Her first page is what is to be done; behind it stands what is wrong, and how that is known."""
    expect(anna.get_by_role("heading", name="Inbox")).to_be_visible()
    pages = anna.get_by_role("navigation", name="Pages")
    assert pages.evaluate("nav => nav.scrollWidth <= nav.clientWidth"), "a page is cut off in the header"
    expect(anna.locator(".card")).to_have_count(1)
    expect(anna.get_by_text("as the directory said")).to_be_visible()
    look(anna, "1-inbox")
    anna.get_by_role("link", name="temperature").click()
    expect(anna.get_by_role("heading", level=1)).to_contain_text("above the")
    expect(anna.locator("svg[role=img]")).to_be_visible()
    expect(anna.get_by_text("Usual range then")).to_be_visible()
    look(anna, "2-anomaly")


def collide(anna: Page, carla: Page) -> None:
    """Who is too late is told what came in between, and decides anew; no word is lost."""
    carla.goto(anna.url)
    expect(carla.get_by_role("heading", name="Open")).to_be_visible()
    anna.get_by_label("Note").fill("on my way")
    anna.get_by_role("button", name="Acknowledge").click()
    expect(carla.get_by_role("heading", name="Acknowledged")).to_be_visible()
    carla.get_by_label("Note").fill("was only dirt")
    anna.get_by_label("Note").fill("bearing replaced")
    anna.get_by_role("button", name="Resolve").click()
    expect(anna.get_by_role("heading", name="Resolved")).to_be_visible()
    carla.get_by_role("button", name="Resolve").click()
    expect(carla.get_by_role("alert")).to_contain_text("bearing replaced")
    expect(carla.get_by_role("alert")).to_contain_text("by Anna")
    expect(carla.get_by_label("Note")).to_have_value("was only dirt")
    look(carla, "3-too-late")
    carla.get_by_label("Note").fill("it runs hot again")
    carla.get_by_role("button", name="Reopen").click()
    expect(carla.get_by_role("heading", name="Open")).to_be_visible()


def work_without_the_directory(anna: Page, world: World) -> None:
    """Her list stays, says how old the directory's word is, and she acts as ever."""
    world.directory.die()
    anna.goto(world.server.url + "/inbox")
    until_shown(anna, lambda: anna.get_by_text("not confirmed since").is_visible())
    expect(anna.locator(".card")).to_have_count(1)
    look(anna, "4-directory-down")
    anna.get_by_role("link", name="temperature").click()
    anna.get_by_role("button", name="Acknowledge").click()
    expect(anna.get_by_role("heading", name="Acknowledged")).to_be_visible()


def resolve(ben: Page) -> None:
    """Whoever is responsible now sees what was done before, and ends it."""
    ben.get_by_role("link", name="temperature").click()
    expect(ben.get_by_text("bearing replaced")).to_be_visible()
    ben.get_by_label("Note").fill("bearing replaced again, runs cool")
    ben.get_by_role("button", name="Resolve").click()
    expect(ben.get_by_role("heading", name="Resolved")).to_be_visible()
    look(ben, "6-resolved")
    ben.get_by_role("link", name="Inbox").click()
    expect(ben.get_by_text("Nothing is unresolved at your devices.")).to_be_visible()
