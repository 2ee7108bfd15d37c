"""SQL that wants too much: what it costs the server, measured in a real process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from tocsin.testing import Server

MIB = 1 << 20
GREEDY = [
    "SELECT repeat('x', 1000000000)",
    "SELECT list_aggregate(range(200000000), 'sum')",
    "SELECT string_agg(repeat('y', 10000), '') FROM range(200000)",
    "SELECT count(DISTINCT a.range * b.range) FROM range(40000) a, range(40000) b",
    "SELECT " + "||".join(["repeat('z', 100000000)"] * 30),
    "SELECT " + "(" * 50_000 + "1" + ")" * 49_000,
    "SELECT * FROM range(10000) a, (SELECT list_transform(range(6000), lambda x: x) AS l)",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose queries may take 3 s and 256 MiB."""
    settings = {"TOCSIN_QUERY__TIMEOUT_S": "3", "TOCSIN_QUERY__MEMORY_BYTES": str(256 * MIB)}
    with Server(tmp_path_factory.mktemp("queries") / "data", settings) as server:
        yield server


def rss_peak_bytes(pid: int) -> int:
    """The most memory that the process ever held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def ask(server: Server, sql: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.post(server.url + "/v1/query", json={"sql": sql}, headers=headers, timeout=60)


def test_greedy_queries_cost_the_server_nothing(server: Server) -> None:
    """Each is refused as a problem with a code; the server's memory stays flat and it answers meanwhile."""
    assert ask(server, "SELECT 1").json()["rows"] == [[1]]
    before = rss_peak_bytes(server.pid)
    answered: list[int] = []
    done = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=server.url, timeout=5) as client:
            while not done.wait(0.05):
                answered.append(client.get("/healthz").status_code)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for sql in GREEDY:
            answer = ask(server, sql)
            assert answer.status_code in {400, 413}, (sql[:80], answer.text[:500])
            assert answer.json()["code"] in {"invalid_input", "too_large"}
    finally:
        done.set()
        watcher.join()
    assert set(answered) == {HTTPStatus.OK}
    assert rss_peak_bytes(server.pid) - before < 64 * MIB
    assert ask(server, "SELECT 2").json()["rows"] == [[2]]


def test_a_killed_server_leaves_no_process_behind(server: Server) -> None:
    """Its processes notice that it has gone, even in the middle of a query."""
    asking = threading.Thread(target=lambda: suppressed(server))
    asking.start()
    children = wait_for(lambda: children_of(server.pid))
    server.kill()
    asking.join()
    assert wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def suppressed(server: Server) -> None:
    with suppress(httpx.TransportError):
        ask(server, "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b")


def children_of(pid: int) -> list[int]:
    """Processes that were started by `pid`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(status.parent.name))
    return found


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition says once it is true; what it says at last after 10 s."""
    deadline_s = time.monotonic() + 10
    while not (found := condition()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return found
