"""The directory in a whole application: it is asked, kept through restarts, and in nobody's way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_kit import event, lines
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.clock import SystemClock
from tocsin.config import Config
from tocsin.config.directories import DirectoryConfig
from tocsin.config.sections import HttpConfig
from tocsin.directory.abstract import Freshness
from tocsin.simulate.directory.faults import DirectoryFault, Trouble, always
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService

TENANT = "default"
TOKEN = "third-party-secret"
DEVICES = ["fan 1/2", "pump-7"]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _devices_are_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not within ten seconds."""
    monkeypatch.setattr("tocsin.directory.asking._SEE_S", 0.2)


@contextmanager
def third_party(trouble: Trouble | None = None) -> Iterator[tuple[SimulatedService, str]]:
    """A simulated one with two technicians, and its address."""
    clock = SystemClock()
    mapping = SimulatedMapping(DEVICES, 2, start_ms=clock.now_ms())
    service = SimulatedService(mapping, clock, token=TOKEN, trouble=trouble)
    with SimulatedDirectoryServer(service) as server:
        yield service, server.url


@contextmanager
def running(data: Path, url: str, **limits: Any) -> Iterator[tuple[Application, str]]:
    """An application with a directory, and its admin key."""
    directory = DirectoryConfig.model_validate({"url": url, "token": TOKEN} | limits)
    config = Config(data=data, http=HttpConfig(port=0), directories={TENANT: directory})
    application = Application(config)
    try:
        key = application.bootstrap_admin() or (data.parent / "key").read_text()
        (data.parent / "key").write_text(key)
        application.start()
        yield application, key
        assert application.failure is None
    finally:
        application.stop()


def send(application: Application, key: str, *devices: str) -> None:
    """One event of each."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    body = lines(*map(event, devices))
    answer = httpx.post(f"{application.server.url}/v1/events", content=body, headers=headers, timeout=30)
    assert answer.json()["accepted"] == len(devices)


def wait_until(done: Callable[[], object], timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.05)


def metrics_of(application: Application) -> str:
    return httpx.get(f"{application.server.url}/metrics", timeout=30).text


def owner(application: Application, device: str) -> str | None:
    return application.directories.by_tenant[TENANT].ownership(device).technician


def test_devices_that_send_something_get_their_technician(tmp_path: Path) -> None:
    """The third party is asked for them, with the token, and a second start knows it without asking."""
    with third_party() as (service, url):
        expected = {device: service.mapping.owner(device) for device in DEVICES}
        with running(tmp_path / "data", url) as (application, key):
            send(application, key, *DEVICES)
            wait_until(lambda: all(owner(application, device) for device in DEVICES))
            assert {device: owner(application, device) for device in DEVICES} == expected
            told = [
                'tocsin_directory_requests_total{endpoint="technician",outcome="answered"} 2.0',
                "tocsin_directory_failing 0.0",
            ]
            wait_until(lambda: all(line in metrics_of(application) for line in told))
    with running(tmp_path / "data", NOWHERE) as (application, _):
        assert {device: owner(application, device) for device in DEVICES} == expected
        found = application.directories.by_tenant[TENANT].ownership(DEVICES[0])
        assert found.freshness is Freshness.FRESH


def test_a_server_is_ready_whatever_its_directory_does(tmp_path: Path) -> None:
    """Five failures, and health says so; requests are taken, and nothing is refused."""
    with third_party(always(DirectoryFault.ERROR)) as (_, url), running(tmp_path / "data", url) as (app, key):
        send(app, key, *DEVICES, *(f"pump-{number}" for number in range(10, 20)))
        directory = app.directories.by_tenant[TENANT]
        wait_until(lambda: directory.failing)
        answer = httpx.get(f"{app.server.url}/readyz", timeout=30)
        assert answer.status_code == 200
        told = {check["name"]: check["detail"] for check in answer.json()["checks"]}
        assert told["directories"] == "1 of 1 fail: lists are answered from what is kept"


def test_a_slow_answer_holds_up_the_end_no_longer_than_its_time(tmp_path: Path) -> None:
    """Questions that wait are not sent any more once the process is to end."""
    trouble = Trouble(faults=(DirectoryFault.SLOW,), share=1.0, slow_s=30.0)
    with third_party(trouble) as (service, url):
        with running(tmp_path / "data", url, timeout_s=1, at_once=1) as (application, key):
            send(application, key, *(f"pump-{number}" for number in range(10, 20)))
            wait_until(lambda: sum(service.asked.values()))
        assert sum(service.asked.values()) <= 2


def test_doctor_names_a_damaged_row_and_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is lost with the file: the third party is asked again."""
    data = tmp_path / "data"
    with third_party() as (_, url), running(data, url) as (application, key):
        send(application, key, *DEVICES)
        wait_until(lambda: owner(application, DEVICES[0]))
    config = tmp_path / "tocsin.yaml"
    config.write_text(json.dumps({"data": str(data), "directories": {TENANT: {"url": NOWHERE}}}))
    arguments = ["doctor", "--config", str(config)]
    assert main(arguments) == 0
    assert "ok      directory of default: every row matches its hash" in capfd.readouterr().out
    path = data / "directories" / f"{TENANT}.db"
    path.write_bytes(path.read_bytes().replace(b"site-001", b"site-009"))
    assert main(arguments) == 1
    said = capfd.readouterr().out
    assert "PROBLEM directory of default: " in said
    assert "delete directories/default.db" in said
