"""A real server, from a simulated file to an anomaly, through a kill, and back to the raw records."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tocsin.testing import COMMAND, Server

pytestmark = pytest.mark.long

_FLEET = ["--stations", "8", "--days", "6", "--fault-free-days", "4", "--interval-s", "120", "--seed", "3"]
_FAULTS = ["--faults", "level_shift,late,duplicate", "--faults-per-month", "40"]
_STATUSES = "scored duplicate conflict late unscored_text unscored_clock unscored_quarantined pending"


def _tocsin(*arguments: str | Path) -> dict[str, Any]:
    command = [str(COMMAND), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet's readings with late, repeated and abnormal ones among them."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.ndjson"
    _tocsin("simulate", *_FLEET, *_FAULTS, "--out", path)
    return path


@pytest.fixture(scope="module")
def server(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has taken in the file, over two connections."""
    data = tmp_path_factory.mktemp("server") / "data"
    with Server(data, {"TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1"}) as running:
        running.run("ingest", file, "--connections", "2")
        yield running


@pytest.fixture(scope="module")
def digest(server: Server) -> dict[str, Any]:
    return server.digest()


def test_an_injected_fault_becomes_an_anomaly_with_a_reason(server: Server, digest: dict[str, Any]) -> None:
    """Readings sent over HTTP come back as anomalies that say what is wrong, in a sentence with numbers."""
    assert digest["caught_up"]
    anomalies = server.get("/v1/anomalies")["anomalies"]
    assert anomalies
    assert all(any(sign.isdigit() for sign in each["explanation"]) for each in anomalies)


def test_what_was_accepted_is_accounted_for(digest: dict[str, Any], file: Path) -> None:
    """Accepted readings are those of the file, and equal the sum of what became of them."""
    counts = digest["counts"]
    sent = sum(len(json.loads(line)) - 2 for line in file.read_text().splitlines())
    assert counts["accepted"] == sent
    assert counts["accepted"] == sum(counts.get(status, 0) for status in _STATUSES.split())
    assert counts["late"] > 0
    assert counts["duplicate"] > 0


def test_live_and_backtest_agree(digest: dict[str, Any], file: Path, tmp_path: Path) -> None:
    """The same file gives the same digests through a server and through a backtest."""
    summary = _tocsin("backtest", file, "--out", tmp_path / "out")
    for name in ("digest_raw", "digest_final"):
        assert summary[name] == digest[name]


def test_every_episode_is_derived_again(server: Server, digest: dict[str, Any]) -> None:
    """Each episode is proved from raw records, state and limits, on the folder that the server leaves."""
    assert digest["caught_up"]
    assert server.stop() == 0
    found = json.loads(server.run("explain", "all", "--data", server.data, "--json").stdout.splitlines()[-1])
    server.start()
    assert found["episodes"] > 0
    assert found["mismatches"] == []


def test_the_command_and_the_api_give_one_digest(server: Server, digest: dict[str, Any]) -> None:
    """`tocsin digest` says what the API says."""
    said = json.loads(server.run("digest", "--json").stdout.splitlines()[-1])
    assert {name: said[name] for name in digest} == digest


def test_a_kill_changes_nothing(server: Server, digest: dict[str, Any]) -> None:
    """After kill -9 and a new start the digests, anomalies and counts are what they were."""
    before = server.get("/v1/anomalies")
    server.kill()
    server.start()
    after = server.digest()
    assert {**after, "caught_up": True} == {**digest, "caught_up": True}
    assert server.get("/v1/anomalies") == before


def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    """Ctrl-C finishes what runs and ends with exit code 0; the next start takes up where it was."""
    server = Server(tmp_path / "data")
    server.start()
    assert server.stop() == 0
    key = server.key
    server.start()
    assert server.key == key
    assert server.stop() == 0
