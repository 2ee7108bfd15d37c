"""Simulated dumps over a bad line to a server that is killed: what it says at the end is that of calm."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from tests.dump_detector_kit import install
from tocsin.testing import COMMAND, Server

pytestmark = [pytest.mark.services, pytest.mark.long]


SETTINGS: Final = {"TOCSIN_WATCH__DUMP_DETECTORS": '{"counting": {}}'}


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its findings says how many lines there were so far, so that order and repeats show."""
    install(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six machines for a day; every way of sending them wrongly happens to some dumps."""
    path = tmp_path_factory.mktemp("made") / "dumps"
    words = ["--devices", "6", "--hours", "24", "--scale", "0.1", "--reorder", "0.3", "--repeat", "0.2"]
    subprocess.run(
        [str(COMMAND), "simulate", "dumps", *words, "--cut", "0.3", "--out", str(path)],
        check=True,
        timeout=300,
    )
    return path


def send(server: Server, folder: Path, *words: str) -> subprocess.Popen[str]:
    """`tocsin upload`, under way."""
    command = [str(COMMAND), "upload", str(folder), *words, "--json"]
    return subprocess.Popen(command, env=server.environment(), stdout=subprocess.PIPE, text=True)


def result_of(sending: subprocess.Popen[str]) -> dict[str, int]:
    """What it says when it ends well."""
    said, _ = sending.communicate(timeout=600)
    assert sending.returncode == 0
    result: dict[str, int] = json.loads(said.splitlines()[-1])
    return result


def wait_for(server: Server, folder: Path) -> None:
    """Until a tenth of the dumps are there: those of the first device, at least one of them."""
    plan = [json.loads(line) for line in (folder / "delivery.ndjson").read_text().splitlines()]
    tenth = plan[len(plan) // 10]
    while True:
        try:
            server.get(f"/v1/devices/{tenth['device']}/dumps/{tenth['sequence']}")
            return
        except RuntimeError:  # not yet
            threading.Event().wait(0.01)


def known(server: Server, folder: Path) -> dict[str, Any]:
    """What the server says of every dump, and its digests."""
    dumps = [json.loads(line) for line in (folder / "dumps.ndjson").read_text().splitlines()]
    states = {}
    for dump in dumps:
        state = server.get(f"/v1/devices/{dump['device']}/dumps/{dump['sequence']}")
        assert (state["outcome"], state["sha256"]) == ("accepted", dump["sha256"])
        states[dump["path"]] = state["members"]
    command = [str(COMMAND), "digest", "--wait-s", "120", "--json"]
    asked = subprocess.run(
        command, env=server.environment(), check=True, capture_output=True, text=True, timeout=300
    )
    return {"states": states, "digest": _digests(json.loads(asked.stdout.splitlines()[-1]))}


def _digests(said: dict[str, Any]) -> dict[str, Any]:
    """Hashes alone: counts of repeats differ, of course."""
    return {name: value for name, value in said.items() if isinstance(value, str)}


def test_disorder_cuts_and_a_kill_change_nothing(folder: Path, tmp_path: Path) -> None:
    """Reordered, repeated, cut and killed in between: every dump is there once, and digests are equal."""
    found = []
    for name in ("calm", "bad"):
        with Server(tmp_path / name, SETTINGS) as server:
            if name == "calm":
                sent = result_of(send(server, folder))
                assert sent["accepted"] == sent["dumps"]
            else:
                sending = send(server, folder, "--delivery", str(folder / "delivery.ndjson"))
                wait_for(server, folder)
                server.kill()
                server.start()
                sent = result_of(sending)
                assert min(sent["cuts"], sent["retries"]) > 0
                assert sent["duplicate"] > 0
                assert sent["conflict"] == sent["quarantined"] == 0
            found.append(known(server, folder))
    assert found[0] == found[1]
    assert int(found[0]["digest"]["digest_dumps"], 16) != 0
