"""Dictionaries of templates with a real server and real workers: from a person to what devices are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.dump_kit import content_digest, good_archive
from tests.integration.test_dump_findings import anomalies, ask, settled, wait_until
from tocsin.testing import Server

pytestmark = pytest.mark.services  # starts of a server, and workers that compile

SETTINGS: Final = {"TOCSIN_WATCH__DUMP_DETECTORS": '{"logs": {"config": {"learn_h": 1}}}'}
USUAL: Final = "".join(f"2026-11-22T10:{n:02}:00Z INFO door closed\n" for n in range(60))
BLOWN: Final = "".join(f"2026-11-22T10:{n:02}:30Z ERROR fuse {n} is blown\n" for n in range(40))


def send(server: Server, device: str, sequence: int, application: str) -> None:
    """An hour with blown fuses."""
    body = good_archive({"engine.log": (USUAL + BLOWN).replace("T10:", f"T{9 + sequence:02}:").encode()})
    answer = httpx.put(
        f"{server.url}/v1/devices/{device}/dumps/{sequence}",
        params={
            "application": application,
            "collected_from": f"2026-11-22T{9 + sequence:02}:00:00Z",
            "collected_to": f"2026-11-22T{10 + sequence:02}:00:00Z",
        },
        content=body,
        headers={"Authorization": f"Bearer {server.key}", "Content-Digest": content_digest(body)},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text


def run(server: Server, *arguments: str | Path) -> Any:
    """A command that asks the server, and its result."""
    done = server.run(*arguments, "--url", server.url, "--token", str(server.key), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_what_people_expect_is_new_on_no_device_of_the_application(tmp_path: Path) -> None:
    """The next device of it is told of nothing, one of another application is; proofs and digests stay."""
    log = tmp_path / "usual.log"
    log.write_text(USUAL)
    with Server(tmp_path / "data", SETTINGS) as server:
        for application in ("presses", "doors"):
            taken = run(server, "templates", log, "--take-over", application)["taken_over"]
            assert taken["new"] == ["door closed"]
        send(server, "press-1", 1, "presses")
        settled(server)
        wait_until(lambda: bool(anomalies(server, "press-1")))
        (anomaly,) = anomalies(server, "press-1")
        assert "fuse <*> is blown" in anomaly["explanation"]
        assert run(server, "expected", anomaly["id"])["new"] == ["fuse <*> is blown"]
        send(server, "press-1", 2, "presses")
        send(server, "press-2", 1, "presses")
        send(server, "door-1", 1, "doors")
        before = settled(server)
        wait_until(lambda: bool(anomalies(server, "door-1")))
        wait_until(lambda: anomalies(server, "press-1")[0]["condition"] == "cleared")
        assert anomalies(server, "press-2") == []
        (name,) = anomaly["episodes"]
        assert ask(server, f"/v1/episodes/{name}/proof")["matches"]
        known = ask(server, "/v1/dictionary?application=presses")
        server.kill()
        (tmp_path / "data" / "checkpoints.db").unlink()
        server.start()
        assert settled(server)["digest_dumps"] == before["digest_dumps"]
        assert ask(server, "/v1/dictionary?application=presses") == known
        send(server, "press-3", 1, "presses")
        settled(server)
        assert anomalies(server, "press-3") == []
