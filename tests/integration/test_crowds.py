"""Crowds and clients that hold on: a real server with few places, and somebody who comes after them."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from tocsin.testing import Server

CONNECTIONS = 40
SETTINGS = {
    "TOCSIN_HTTP__CONNECTIONS_MAX": str(CONNECTIONS),
    "TOCSIN_HTTP__CONCURRENCY_MAX": "16",
    "TOCSIN_HTTP__STREAMS_MAX": "4",
    "TOCSIN_HTTP__BODY_IDLE_TIMEOUT_S": "8",
}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 40 places for connections and 16 for requests."""
    with Server(tmp_path_factory.mktemp("crowds") / "data", SETTINGS) as server:
        headers = NDJSON | {"Authorization": f"Bearer {server.key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
            sent(client, 0)  # loads, or even compiles, what is needed for events
        yield server


@contextmanager
def crowd(server: Server, count: int, opening: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that each send `opening` and then hold on."""
    port = int(server.url.rpartition(":")[2])
    with ExitStack() as opened:
        connections = []
        for _ in range(count):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(opening)
            connections.append(connection)
        yield connections


def token_of(server: Server, name: str, role: str = "operator") -> str:
    """A new API key."""
    wanted = {"kind": "api_key", "name": name, "roles": [role]}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(server.url + "/v1/credentials", json=wanted, headers=headers, timeout=30)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    token: str = answer.json()["token"]
    return token


def unfinished_body(token: str) -> bytes:
    """The head of a request whose body does not come."""
    return (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        b"Content-Length: 100000\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n{"
    )


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]),
        b"\x16\x03\x01",
    ],
    ids=["silent", "slow headers", "idle after an answer", "HTTP/2 without requests", "half a TLS hello"],
)
def test_connections_that_only_hold_on_shut_nobody_out(server: Server, opening: bytes) -> None:
    """With more of them than there are places, somebody new is answered."""
    with crowd(server, CONNECTIONS * 3 // 2, opening):
        time.sleep(0.5)
        for _ in range(3):
            assert httpx.get(server.url + "/healthz", timeout=10).status_code == HTTPStatus.OK


def test_a_connection_without_a_byte_is_closed(server: Server) -> None:
    """It gets no longer than a body may idle."""
    with crowd(server, 1, b"") as (connection,):
        connection.settimeout(60)
        assert connection.recv(1) == b""


def test_a_credential_that_trickles_leaves_room_for_others(server: Server) -> None:
    """Its share of requests is taken, more of it gets 429; other credentials and strangers are answered."""
    greedy, modest = token_of(server, "greedy"), token_of(server, "modest")
    event = json.dumps({"device": "pump-1", "ts": 1_795_341_600_000, "t": 1.0}) + "\n"
    with crowd(server, 16, unfinished_body(greedy)) as connections:
        time.sleep(0.5)
        own = NDJSON | {"Authorization": f"Bearer {greedy}"}
        answer = httpx.post(server.url + "/v1/events", content=event, headers=own, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.TOO_MANY_REQUESTS, "rate_limited")
        assert "retry-after" in answer.headers
        others = NDJSON | {"Authorization": f"Bearer {modest}"}
        answer = httpx.post(server.url + "/v1/events", content=event, headers=others, timeout=10)
        assert answer.status_code == HTTPStatus.OK
        assert httpx.get(server.url + "/readyz", timeout=10).status_code == HTTPStatus.OK
        answers = [connection.recv(12)[9:] for connection in connections]
    assert set(answers) == {b"408", b"429"}
    assert answers.count(b"408") == 8


def test_a_claimed_key_id_takes_nothing_from_its_owner(server: Server) -> None:
    """Who only knows the id of a key uses the share of the own address."""
    token = token_of(server, "owner")
    forged = token[:22] + "x" * (len(token) - 22)
    with crowd(server, 16, unfinished_body(forged)):
        time.sleep(0.3)
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(server.url + "/v1/devices", headers=headers, timeout=10).status_code == HTTPStatus.OK


def test_a_body_must_keep_its_pace(server: Server) -> None:
    """A byte now and then is no progress: the body is given up though it never idles."""
    token = token_of(server, "slow")
    with crowd(server, 1, unfinished_body(token)) as (connection,):
        began_s = time.monotonic()
        connection.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - began_s < 25:
            with suppress(TimeoutError):
                answer = connection.recv(12)
            with suppress(OSError):
                connection.sendall(b" ")
    assert answer == b"HTTP/1.1 408"


def test_few_open_files_end_nothing(tmp_path: Path) -> None:
    """At the hard limit connections wait, the stores find files, and all is well afterwards."""
    settings = {
        "TOCSIN_LAKE__FLUSH_S": "0.5",
        "TOCSIN_PROCESSING__CHECKPOINT_INTERVAL_S": "0.5",
        "TOCSIN_LOG__SEGMENT_BYTES": "65536",
    }
    with Server(tmp_path / "data", settings, under=["prlimit", "--nofile=320:320"]) as server:
        headers = NDJSON | {"Authorization": f"Bearer {server.key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
            with crowd(server, 200, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
                until_s = time.monotonic() + 5
                accepted = sum(sent(client, n) for n in until(lambda: time.monotonic() > until_s))
                assert httpx.get(server.url + "/healthz", timeout=30).status_code == HTTPStatus.OK
            assert len(os.listdir(f"/proc/{server.pid}/fd")) < 320  # noqa: PTH208 - a count
            assert sent(client, 10_000) == 100
        assert server.digest()["counts"]["events"] == accepted + 100
        assert server.stop() == 0


def until(over: Callable[[], bool]) -> Iterator[int]:
    """0, 1, 2 … until it is over."""
    number = 0
    while not over():
        yield number
        number += 1


def sent(client: httpx.Client, number: int) -> int:
    """Send a hundred events; how many were accepted."""
    first_ms = 1_700_000_000_000 + number * 100
    events: list[dict[str, Any]] = [{"device": "d", "ts": first_ms + n, "t": n % 7} for n in range(100)]
    answer = client.post("/v1/events", content="\n".join(map(json.dumps, events)))
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return 0
    accepted: int = answer.json()["accepted"]
    return accepted


def test_too_few_files_are_told_at_the_start(tmp_path: Path) -> None:
    """With hardly any file to open the server does not start, and says what to do."""
    server = Server(tmp_path / "data", under=["prlimit", "--nofile=200:200"])
    with pytest.raises(RuntimeError, match=r"allow at least \d+ \(ulimit -n\)"):
        server.start()
