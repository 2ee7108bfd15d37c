"""The whole path of dumps with a real server and real workers: upload, order, steps, findings, inbox."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.dump_detector_kit import install
from tests.dump_kit import content_digest, good_archive
from tests.dump_steps_kit import module
from tocsin.testing import COMMAND, Server

pytestmark = pytest.mark.services  # several starts of a server

SETTINGS: Final = {"TOCSIN_WATCH__DUMP_DETECTORS": '{"counting": {}}', "TOCSIN_DUMPS__STEP_S": "3"}
DEVICES: Final = ("press-1", "press-2", "press-3")
DUMPS: Final = 8


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of another team is installed."""
    install(tmp_path, monkeypatch, module())


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Server]:
    with Server(folder, SETTINGS | settings) as server:
        yield server


def ask(server: Server, path: str, method: str = "GET") -> Any:
    """What the server answers its admin."""
    answer = httpx.request(
        method, f"{server.url}{path}", headers={"Authorization": f"Bearer {server.key}"}, timeout=60
    )
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def send(server: Server, device: str, sequence: int, text: str) -> None:
    """A dump of the device whose engine log says `text`; sent again if the server was killed meanwhile."""
    body = good_archive({"engine/engine.log": f"dump {sequence}\n{text}\n".encode()})
    times = {
        "collected_from": f"2026-11-22T10:{sequence:02}:00Z",
        "collected_to": f"2026-11-22T10:{sequence:02}:59Z",
    }
    answer = httpx.put(
        f"{server.url}/v1/devices/{device}/dumps/{sequence}",
        params=times,
        content=body,
        headers={"Authorization": f"Bearer {server.key}", "Content-Digest": content_digest(body)},
        timeout=60,
    )
    assert answer.status_code in {200, 201}, answer.text


def send_all(server: Server, first: int = 1, last: int = DUMPS) -> None:
    """The same dumps in every run: every third one of a device shows a fault."""
    for sequence in range(first, last + 1):
        for number, device in enumerate(DEVICES):
            send(server, device, sequence, "" if (sequence + number) % 3 else "fault bearing")


def wait_until(done: Callable[[], bool], timeout_s: float = 90) -> None:
    """Look again and again; an assertion if it never comes."""
    end_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.1)


def settled(server: Server) -> Any:
    """The digests once nothing waits."""
    wait_until(lambda: ask(server, "/v1/digest")["caught_up"])
    return ask(server, "/v1/digest")


def calm_digest(folder: Path) -> str:
    """What the same dumps give when nothing goes wrong."""
    with serving(folder / "calm") as server:
        send_all(server)
        digest: str = settled(server)["digest_dumps"]
        return digest


def workers_of(server: Server) -> list[int]:
    """Processes that run steps, children of the server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                named = b"worker_child" in (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == server.pid and named:
                found.append(int(entry.name))
    return found


def anomalies(server: Server, device: str) -> list[Any]:
    """What is in the inbox of the device."""
    found: list[Any] = ask(server, f"/v1/anomalies?device={device}")["anomalies"]
    return found


def test_a_finding_becomes_an_anomaly_that_says_which_dump(tmp_path: Path) -> None:
    """From the upload to the inbox, with component, sentence and the dump; the episode is in the API."""
    with serving(tmp_path / "data") as server:
        for sequence, text in enumerate(["", "fault bearing", "fault bearing", ""], start=1):
            send(server, "press-1", sequence, text)
        settled(server)
        wait_until(lambda: bool(anomalies(server, "press-1")))
        wait_until(lambda: anomalies(server, "press-1")[0]["condition"] == "cleared")
        (anomaly,) = anomalies(server, "press-1")
        assert anomaly["explanation"].startswith("engine: bearing after ")
        assert anomaly["detectors"] == ["counting"]
        (name,) = anomaly["episodes"]
        evidence = ask(server, f"/v1/episodes/{name}")["evidence"]["dumps"]
        assert (evidence["first"]["sequence"], evidence["last"]["sequence"]) == (2, 3)
        proof = ask(server, f"/v1/episodes/{name}/proof")
        assert proof == {"matches": True, "readings": 4, "differences": []}
        with httpx.Client(base_url=server.url, timeout=60) as browser:
            browser.post("/login", data={"key": server.key}, headers={"Origin": server.url})
            assert "bearing after" in browser.get(f"/anomalies/{anomaly['id']}").text
        metrics = httpx.get(
            f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.key}"}, timeout=60
        ).text
        assert 'tocsin_dumps_steps_total{outcome="done"} 4.0' in metrics


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    """SIGKILL in mid-stream: its step is done again, digests equal those of the calm run."""
    calm = calm_digest(tmp_path)
    with serving(tmp_path / "data") as server:
        send_all(server, 1, 3)
        wait_until(lambda: bool(workers_of(server)))
        for sequence in range(4, DUMPS + 1):
            for pid in workers_of(server)[:1]:
                os.kill(pid, signal.SIGKILL)
            send_all(server, sequence, sequence)
        assert settled(server)["digest_dumps"] == calm


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 in mid-stream, several times: every dump is judged once, digests equal the calm run's."""
    calm = calm_digest(tmp_path)
    with serving(tmp_path / "data") as server:
        for first in (1, 3, 5, 7):
            send_all(server, first, first + 1)
            server.kill()
            server.start()
        assert settled(server)["digest_dumps"] == calm


def test_a_hanging_and_a_poisonous_dump_stop_their_devices_alone(tmp_path: Path) -> None:
    """Both are noticed and told of, the third device goes on; released, the first ends as if nothing was."""
    there = tmp_path / "hangs"
    there.touch()
    with serving(tmp_path / "data") as server:
        for device, text in (
            ("press-1", f"hang {there}"),
            ("press-2", "raise"),
            ("press-3", "fault bearing"),
        ):
            send(server, device, 1, "")
            send(server, device, 2, text)
            send(server, device, 3, "fault bearing")
        wait_until(lambda: len(ask(server, "/v1/anomalies")["anomalies"]) == 3)
        settled(server)
        told = {each["device"]: each["explanation"] for each in ask(server, "/v1/anomalies")["anomalies"]}
        assert "has stopped at dump 2: it took longer than its limit" in told["press-1"]
        assert "has stopped at dump 2: it raised an error: RuntimeError: told to" in told["press-2"]
        assert told["press-3"].startswith("engine: bearing")
        for device in DEVICES:
            (name,) = anomalies(server, device)[0]["episodes"]
            assert ask(server, f"/v1/episodes/{name}/proof")["matches"]
        there.unlink()
        ask(server, "/v1/devices/press-1/quarantine", "DELETE")
        wait_until(lambda: "engine: bearing" in str(anomalies(server, "press-1")))
        settled(server)


def test_explain_derives_a_finding_again_or_says_why_it_cannot(tmp_path: Path) -> None:
    """From the folder of a stopped server; with a blob that was altered, the dump at fault is named."""
    data = tmp_path / "data"
    with serving(data) as server:
        for sequence, text in enumerate(["", "fault bearing", ""], start=1):
            send(server, "press-1", sequence, text)
        settled(server)
        wait_until(lambda: bool(anomalies(server, "press-1")))
        environment = server.environment()
    explain = [str(COMMAND), "explain", "all", "--data", str(data)]
    told = subprocess.run(explain, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "press-1 engine, 3 dumps derived again" in told.stdout
    for blob in (data / "blobs").glob("[0-9a-f][0-9a-f]/*"):
        blob.write_bytes(blob.read_bytes()[:-30])
    told = subprocess.run(explain, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "it can't be derived again: dump 1: archive:" in told.stdout
