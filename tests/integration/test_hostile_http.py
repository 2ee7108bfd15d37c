"""Requests that no client of good will sends, against a real server."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pyarrow as pa
import pytest

from tests.integration.test_hostile_queries import rss_peak_bytes
from tocsin.testing import Server

MIB = 1 << 20
EVENT = b'{"device":"pump-1","ts":1795341600000,"t":1.5}\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes bodies of 8 MiB."""
    settings = {"TOCSIN_HTTP__BODY_BYTES_MAX": str(8 * MIB)}
    with Server(tmp_path_factory.mktemp("http") / "data", settings) as server:
        yield server


def send(server: Server, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    every = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson", **named}
    return httpx.post(server.url + "/v1/events", content=body, headers=every, timeout=60)


def talk(server: Server, said: bytes, answers: int) -> bytes:
    """What comes back to these bytes until there are so many answers, or the connection ends."""
    port = int(server.url.rpartition(":")[2])
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(said)
        while heard.count(b"HTTP/1.1 ") < answers and (piece := connection.recv(65_536)):
            heard += piece
    return heard


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_and_costs_no_memory(server: Server, encoding: str) -> None:
    """A body that unpacks to a gibibyte gets 413; the server never holds more than a body may have."""
    piece = b"\n" * (64 * MIB)
    one = gzip.compress(piece, 9) if encoding == "gzip" else pa.Codec("zstd").compress(piece, asbytes=True)
    assert send(server, EVENT).status_code == HTTPStatus.OK
    before = rss_peak_bytes(server.pid)
    for bomb in (one, one * 16):
        answer = send(server, bomb, Content_Encoding=encoding)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert rss_peak_bytes(server.pid) - before < 48 * MIB
    assert send(server, EVENT).status_code == HTTPStatus.OK


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """Two requests in one piece get two answers, the first one's first."""
    said = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = talk(server, said, 2)
    assert heard.index(b"HTTP/1.1 200") < heard.index(b"HTTP/1.1 404")


def test_a_body_in_tiny_chunks_is_one_body(server: Server) -> None:
    """One byte a chunk gives what the whole gives; what is no chunk is refused."""
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        b"Authorization: Bearer " + server.key.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in EVENT)
    assert b'"accepted":1' in talk(server, head + chunks + b"0\r\n\r\n", 1)
    assert b"HTTP/1.1 2" not in talk(server, head + b"nonsense\r\n", 1)


@pytest.mark.parametrize(
    "headers",
    [b"".join(b"X-%d: y\r\n" % n for n in range(5_000)), b"X: " + b"y" * (2 * MIB) + b"\r\n"],
    ids=["five thousand", "two mebibytes"],
)
def test_too_many_headers_are_refused(server: Server, headers: bytes) -> None:
    """They get an error or the connection is closed; others are answered."""
    try:
        heard = talk(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n", 1)
    except ConnectionError:
        heard = b""
    assert not heard or heard.startswith(b"HTTP/1.1 4")
    assert httpx.get(server.url + "/healthz", timeout=30).status_code == HTTPStatus.OK


def test_two_lengths_are_refused(server: Server) -> None:
    """A request with which a proxy and the server could disagree about its end is no request."""
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    assert b"HTTP/1.1 400" in talk(server, head + b"Content-Length: 5\r\n\r\nabcde", 1)
    assert b"HTTP/1.1 2" not in talk(server, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs the right to mount")
def test_a_read_only_disk_acknowledges_nothing(server: Server) -> None:
    """The server does not start, names the place and the remedy; writable again, nothing is missing."""
    data = server.data
    assert send(server, EVENT).status_code == HTTPStatus.OK
    before = server.digest()["counts"]["events"]
    assert server.stop() == 0
    mount = f'mount --bind {data.parent} {data.parent} && mount -o remount,ro,bind {data.parent} && exec "$@"'
    with pytest.raises(RuntimeError, match=r"storage_unavailable: .*Read-only file system") as refused:
        Server(data, under=["unshare", "--mount", "sh", "-c", mount, "sh"]).start()
    assert "Traceback" not in str(refused.value)
    server.start()
    assert server.digest()["counts"]["events"] == before > 0
