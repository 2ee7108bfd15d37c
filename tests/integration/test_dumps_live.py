"""A real server takes dumps, is killed, and still knows them."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dump_kit import content_digest, good_archive
from tests.integration.test_hostile_queries import rss_peak_bytes
from tocsin.testing import COMMAND, Server

pytestmark = pytest.mark.services  # three starts of a server


def put(server: Server, sequence: int, body: bytes) -> httpx.Response:
    """Send a dump of `press-3` as the admin."""
    return httpx.put(
        f"{server.url}/v1/devices/press-3/dumps/{sequence}",
        content=body,
        headers={"Authorization": f"Bearer {server.key}", "Content-Digest": content_digest(body)},
        timeout=60,
    )


def test_acknowledged_dumps_survive_a_kill(tmp_path: Path) -> None:
    """Killed right after the answers, the server knows every dump: repeats, conflicts and quarantine stay."""
    bodies = [good_archive({"a.log": b"%d\n" % number}) for number in range(3)]
    with Server(tmp_path / "data") as server:
        assert [put(server, n, body).status_code for n, body in enumerate(bodies, start=1)] == [201] * 3
        assert put(server, 4, b"no archive").status_code == 422
        server.kill()
        server.start()
        assert [put(server, n, body).status_code for n, body in enumerate(bodies, start=1)] == [200] * 3
        assert put(server, 1, bodies[1]).json()["code"] == "dump_conflict"
        assert put(server, 4, b"no archive").json()["code"] == "zip_malformed"
        sql = "SELECT payload FROM control WHERE type = 'dump' ORDER BY log_offset"
        answer = httpx.post(
            f"{server.url}/v1/query", json={"sql": sql}, headers={"Authorization": f"Bearer {server.key}"}
        )
        assert answer.text.count("press-3") == 5


def test_the_command_lists_dumps_from_a_server_and_from_its_folder(tmp_path: Path) -> None:
    """With what each came to and what is missing; both ways say the same."""
    with Server(tmp_path / "data") as server:
        for sequence, body in ((1, good_archive()), (2, b"no archive"), (4, good_archive({"b.log": b"b"}))):
            put(server, sequence, body)
        wait_until_processed(server)
        asked = listed(["--json"], server.environment())
        server.stop()
        opened = listed(["--data", str(tmp_path / "data"), "--json"], server.environment())
    assert asked == opened
    states = [(dump["sequence"], dump["state"], dump["code"]) for dump in asked["dumps"]]
    assert states == [(1, "processed", ""), (2, "quarantined", "zip_malformed"), (4, "waiting", "")]
    assert asked["missing"] == [{"epoch": 0, "first": 3, "last": 3, "given_up": False}]


def wait_until_processed(server: Server) -> None:
    """Until the server has processed all that it logged and can process, at most a minute."""
    command = [str(COMMAND), "digest", "--wait-s", "60"]
    subprocess.run(command, env=server.environment(), check=False, timeout=120)


def listed(words: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What `tocsin dumps press-3` says."""
    command = [str(COMMAND), "dumps", "press-3", *words]
    said = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def test_a_large_dump_takes_little_memory(tmp_path: Path) -> None:
    """96 MiB that can't be packed take at most 32 MiB more of the server than 16 MiB did before them."""
    smaller, body = (
        good_archive({"a.log": random.Random(size).randbytes(size << 20)}, method=0) for size in (16, 96)
    )
    with Server(tmp_path / "data") as server:
        put(server, 1, smaller)  # a server that has just started still grows by itself
        wait_until_processed(server)
        before = rss_peak_bytes(server.pid)
        assert put(server, 2, body).status_code == 201
        wait_until_processed(server)
        assert rss_peak_bytes(server.pid) - before < 32 << 20


def test_an_upload_goes_on_when_the_server_is_killed(tmp_path: Path) -> None:
    """`tocsin upload` tries until the server is back; every dump is logged once, each device's in order."""
    folder = tmp_path / "dumps"
    for device in range(4):
        (folder / f"press-{device}").mkdir(parents=True)
        for number in range(1, 13):
            body = good_archive({"a.log": random.Random(100 * device + number).randbytes(200_000)})
            (folder / f"press-{device}" / f"{number}.zip").write_bytes(body)
    with Server(tmp_path / "data") as server:
        command: list[str | Path] = [
            COMMAND,
            "upload",
            str(folder),
            "--json",
            "--resume",
            str(tmp_path / "journal"),
        ]
        process = subprocess.Popen(
            command, env=server.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while len(list((tmp_path / "data" / "blobs").glob("??/*"))) < 12 and process.poll() is None:
            time.sleep(0.01)
        server.kill()
        server.start()
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        sent = json.loads(out.splitlines()[-1])
        assert sent["accepted"] + sent["duplicate"] == sent["dumps"] == 48
        again = subprocess.run(command, env=server.environment(), capture_output=True, text=True, check=True)
        assert json.loads(again.stdout.splitlines()[-1])["skipped"] == 48
        sql = "SELECT payload FROM control WHERE type = 'dump' ORDER BY log_partition, log_offset"
        answer = httpx.post(
            f"{server.url}/v1/query", json={"sql": sql}, headers={"Authorization": f"Bearer {server.key}"}
        )
    logged = [json.loads(row) for row in re.findall(r'"(\{.*?\})"', answer.text.replace("\\", ""))]
    for device in range(4):
        own = [record["sequence"] for record in logged if record["device"] == f"press-{device}"]
        assert own == list(range(1, 13))
