"""Bits that flip in the lake under a running server: it goes on, says so, and ends with the same verdicts."""

from __future__ import annotations

import json
import random
import subprocess
import time
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_damaged_lake import flip
from tests.kit import fleet
from tocsin.testing import COMMAND, Server

pytestmark = [pytest.mark.services, pytest.mark.long]  # eight starts of a process

_SETTINGS = {
    "TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "0.2",
    "TOCSIN_LAKE__FLUSH_S": "0.2",
    "TOCSIN_LAKE__FLUSH_ROWS": "500",
}


def _lines(folder: Path) -> tuple[Path, Path, Path]:
    """A fleet in order of time; all but every twentieth line of it; and these, which come late."""
    told = [
        json.dumps({"device": name, "ts": ts, **values}) + "\n"
        for name, ts, values in fleet(7, devices=6, steps=600)
    ]
    late = set(random.Random(3).sample(range(len(told)), len(told) // 20))
    parts = {
        "ordered": told,
        "first": [line for number, line in enumerate(told) if number not in late],
        "late": [line for number, line in enumerate(told) if number in late],
    }
    for name, lines in parts.items():
        (folder / f"{name}.ndjson").write_text("".join(lines))
    return folder / "ordered.ndjson", folder / "first.ndjson", folder / "late.ndjson"


def _tocsin(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    command = [str(COMMAND), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def _until(what: str, true: Any) -> None:
    deadline_s = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.1)


def _proof(server: Server, episode_id: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=60)
    try:
        headers = {"Authorization": f"Bearer {server.key}"}
        connection.request("GET", f"/v1/episodes/{episode_id}/proof", headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _flip_some(data: Path, rng: random.Random) -> None:
    """A bit in each of three files of events, wherever it lies."""
    files = sorted((data / "lake" / "events").rglob("*.parquet"))
    for path in rng.sample(files, 3):
        flip(path, rng.randrange(path.stat().st_size), rng.randrange(8))


@pytest.mark.parametrize("seed", [1, 2])
def test_flips_under_a_running_server_change_no_verdict(tmp_path: Path, seed: int) -> None:
    """Corrections wait, proofs hold or fail loudly; after kills and a repair all is as in order."""
    ordered, first, late = _lines(tmp_path)
    code, expected = _tocsin("backtest", ordered, "--out", tmp_path / "out")
    assert code == 0
    with Server(tmp_path / "data", _SETTINGS) as server:
        server.run("ingest", first, "--body-events", "250")
        before = server.digest()
        _until("everything is in the lake", lambda: server.metric("tocsin_lake_lag") == 0)
        _flip_some(server.data, random.Random(seed))
        server.run("ingest", late)
        _until("damage is known", lambda: server.metric("tocsin_lake_damaged_files") > 0)
        proofs = [_proof(server, each["id"]) for each in server.get("/v1/episodes", limit="200")["episodes"]]
        assert proofs
        for status, proof in proofs:
            assert proof["matches"] if status == HTTPStatus.OK else proof["code"] == "corrupt"
        for _ in range(2):
            waiting = server.get("/v1/digest")
            assert waiting["pending"] > 0
            assert server.ready()
            server.kill()
            server.start()
        assert before["digest_raw"] != expected["digest_raw"]
    code, told = _tocsin("lake", "repair", "--data", tmp_path / "data")
    assert (code, len(told["files"]), told["left"]) == (0, 3, 0)
    with Server(tmp_path / "data", _SETTINGS) as server:
        digest = server.digest()
    for name in ("digest_raw", "digest_final"):
        assert digest[name] == expected[name]
