"""The server over real sockets: streams, slow clients, crowds, TLS, stopping."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_kit import FOREIGN, NDJSON, OWN, World, event, lines
from tocsin.access.person import PersonChange
from tocsin.access.principal import Role
from tocsin.api.limits import RequestLimits
from tocsin.api.server import HttpServer
from tocsin.cli import main
from tocsin.config.sections import HttpConfig
from tocsin.directory.abstract import DeviceList, Freshness
from tocsin.errors import TocsinError


@contextmanager
def serving(world: World, **config: Any) -> Iterator[HttpServer]:
    server = HttpServer(world.app, HttpConfig(port=0, **config), world.services.stream, stop_s=1)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def bearer(world: World, role: Role = Role.VIEWER, tenant: str = "default") -> dict[str, str]:
    return {"Authorization": f"Bearer {world.key(role, tenant)}"}


class Listener:
    """Reads server-sent events from an open response."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> tuple[int, dict[str, Any]]:
        """Id and data of the next event; comments are passed over."""
        number = -1
        for line in self._lines:
            if line.startswith("id: "):
                number = int(line[4:])
            if line.startswith("data: "):
                return number, json.loads(line[6:])
        raise AssertionError("the stream ended")


def test_stream_tells_what_happens(world: World) -> None:
    """A listener hears of an anomaly within a second, as it is in the inbox."""
    with serving(world) as server, httpx.Client(base_url=server.url, headers=bearer(world)) as client:
        world.find_anomaly("pump-7")
        with client.stream("GET", "/v1/stream") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            listener = Listener(response)
            next(listener._lines)  # the stream is open, so what happens now is heard
            time.sleep(0.2)
            started_s = time.monotonic()
            anomaly = world.find_anomaly("fan 1/2")
            number, data = listener.next()
    assert time.monotonic() - started_s < 1
    assert (data["anomaly"]["id"], data["change"]["sequence"]) == (anomaly, number)


def test_stream_resumes_after_a_cut(world: World) -> None:
    """With Last-Event-ID nothing is missed and nothing comes twice."""
    anomalies = [world.find_anomaly(f"pump-{n}") for n in range(5)]
    with serving(world) as server, httpx.Client(base_url=server.url, headers=bearer(world)) as client:
        with client.stream("GET", "/v1/stream", headers={"Last-Event-ID": "0"}) as response:
            listener = Listener(response)
            first = [listener.next() for _ in range(2)]
        headers = {"Last-Event-ID": str(first[-1][0])}
        with client.stream("GET", "/v1/stream", headers=headers) as response:
            listener = Listener(response)
            rest = [listener.next() for _ in range(3)]
    assert [data["anomaly"]["id"] for _, data in first + rest] == anomalies
    numbers = [number for number, _ in first + rest]
    assert numbers == sorted(set(numbers))


def test_stream_is_of_one_tenant(world: World) -> None:
    """Changes of another tenant never reach a listener."""
    world.find_anomaly("secret", FOREIGN)
    world.find_anomaly("pump-7")
    headers = bearer(world) | {"Last-Event-ID": "0"}
    with (
        serving(world) as server,
        httpx.stream("GET", server.url + "/v1/stream", headers=headers) as response,
    ):
        _, data = Listener(response).next()
    assert data["anomaly"]["device"] == "pump-7"


def test_a_technicians_stream_tells_of_her_devices_alone(world: World) -> None:
    """And goes on behind what was somebody else's, whom it concerned or not."""
    technician = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    world.responsible(technician, "pump-1", "pump-3")
    anomalies = [world.find_anomaly(f"pump-{n}") for n in range(5)]
    with serving(world) as server, httpx.Client(base_url=server.url, headers=bearer(world)) as client:
        following: dict[str, Any] = {"params": {"technician": technician}, "headers": {"Last-Event-ID": "0"}}
        with client.stream("GET", "/v1/stream", **following) as response:
            listener = Listener(response)
            found = [listener.next()[1]["anomaly"]["id"] for _ in range(2)]
            left = next(line for line in listener._lines if line.startswith("id: "))
        nobody = client.get("/v1/stream", params={"technician": "nobody"})
    assert found == [anomalies[1], anomalies[3]]
    assert left == f"id: {world.inbox.last_change()}"
    assert nobody.status_code == 404


def test_who_is_a_technician_hears_of_her_own_devices_alone(world: World) -> None:
    """Of others not even that something happened; and of other ones once she is another technician."""
    technician, other = "6f9619ff-8b86-4011-b42d-00c04fc964ff", "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10"
    world.responsible(technician, "pump-1", "pump-2")
    world.responsible(other, "pump-3", "pump-4")
    maria = world.person("maria", technician=technician)
    headers = world.sign_in("maria") | {"Last-Event-ID": "0"}
    world.find_anomaly("pump-3")
    own = world.find_anomaly("pump-1")
    with serving(world) as server, httpx.Client(base_url=server.url, headers=headers) as client:
        with client.stream("GET", "/v1/stream") as response:
            told = response.iter_lines()
            first = next(line for line in told if line.startswith("id: "))
            change = PersonChange(technician=other)
            world.access.people.change(OWN, maria, change, revision=None, tell=lambda _: None)
            world.find_anomaly("pump-2")
            newest = world.find_anomaly("pump-4")
            second = next(line for line in told if line.startswith("id: "))
        answer = client.get("/v1/stream", params={"technician": technician})
    assert first == f"id: {world.inbox.history(OWN, own)[0].sequence}"
    assert second == f"id: {world.inbox.history(OWN, newest)[0].sequence}"
    assert answer.status_code == 404


def test_the_stream_of_a_technician_who_turns_out_to_be_none_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is asked behind the first answer; what it says then is no error of the server."""
    technician = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    none = DeviceList(devices=(), as_of_ms=None, freshness=Freshness.FRESH, more=False, missing=True)
    world.responsible(technician, "pump-1")
    with serving(world) as server, httpx.Client(base_url=server.url, headers=bearer(world)) as client:
        following: dict[str, Any] = {"params": {"technician": technician}}
        with client.stream("GET", "/v1/stream", **following) as response:
            told = response.iter_lines()
            next(told)
            monkeypatch.setattr(world.directory, "devices_of", lambda *_, **__: none)
            time.sleep(0.2)
            world.find_anomaly("pump-1")
            assert not any(line.startswith("data:") for line in told)
        assert client.get("/v1/stream", **following).status_code == 404


def test_a_stream_ends_with_what_it_was_opened_by(world: World) -> None:
    """Who is disabled hears nothing of what happens then, though the stream would last for minutes."""
    person = world.person("maria")
    headers = world.sign_in("maria")
    change = PersonChange(disabled=True)
    with serving(world) as server, httpx.Client(base_url=server.url, headers=headers) as client:
        with client.stream("GET", "/v1/stream") as response:
            told = response.iter_lines()
            next(told)
            world.access.people.change(OWN, person, change, revision=None, tell=lambda _: None)
            time.sleep(0.2)
            world.find_anomaly("pump-1")
            assert not any(line.startswith("data:") for line in told)
        assert client.get("/v1/stream").status_code == 401


def test_a_stream_ends_with_the_session_that_it_was_opened_by(world: World) -> None:
    """Whoever holds a stolen cookie hears nothing once its owner has ended that session, though both go on
    being the same person.
    """
    world.person("maria")
    stolen, own = world.sign_in("maria"), world.sign_in("maria")
    with serving(world) as server, httpx.Client(base_url=server.url) as client:
        with client.stream("GET", "/v1/stream", headers=stolen) as response:
            told = response.iter_lines()
            next(told)
            sessions = client.get("/v1/me/sessions", headers=own).json()["sessions"]
            other = next(each["id"] for each in sessions if not each["current"])
            assert client.delete(f"/v1/me/sessions/{other}", headers=own).status_code == 204
            time.sleep(0.2)
            world.find_anomaly("pump-1")
            assert not any(line.startswith("data:") for line in told)
        assert client.get("/v1/stream", headers=stolen).status_code == 401


def test_listeners_are_bounded_and_give_their_place_back(world: World) -> None:
    """A tenant's listener too many gets 429, one too many of all 503; places are free again when left."""
    with serving(world) as server:
        tenants = ["default", "default", "default", "other", "default", "other"]
        clients = [httpx.Client(base_url=server.url, headers=bearer(world, tenant=name)) for name in tenants]
        opened = [client.stream("GET", "/v1/stream") for client in clients]
        responses = [stream.__enter__() for stream in opened[:3]]
        over_share = clients[4].get("/v1/stream")
        responses.append(opened[3].__enter__())
        assert [response.status_code for response in responses] == [200] * 4
        full = clients[5].get("/v1/stream")
        assert [(each.status_code, "retry-after" in each.headers) for each in (over_share, full)] == [
            (429, True),
            (503, True),
        ]
        for stream in opened[:4]:
            stream.__exit__(None, None, None)
        for client in clients:
            client.close()
        deadline_s = time.monotonic() + 5
        while world.services.stream.listeners and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert world.services.stream.listeners == 0


def test_a_body_of_events_that_breaks_off_is_no_fault_of_the_server(world: World) -> None:
    """Its sender goes away in the middle: it counts as a 408, nothing is kept, and no error is logged."""
    with serving(world) as server:
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.key(Role.OPERATOR)}\r\n"
            "Content-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n"
        )
        with socket.create_connection((server.host, server.port)) as sender:
            sender.sendall(head.encode() + lines(event()))
            time.sleep(0.2)
        deadline_s = time.monotonic() + 20
        while "/v1/events" not in (told := metrics_of(world)) and time.monotonic() < deadline_s:
            time.sleep(0.02)
    assert 'status="408"' in told
    assert 'status="500"' not in told
    assert not any(world.log.end(partition) for partition in range(world.log.partitions))


def metrics_of(world: World) -> str:
    return world.meters.render_prometheus().decode()


def test_chunked_body_is_taken(world: World) -> None:
    """A body without a Content-Length is read like any other, and bounded like any other."""
    pieces = [lines(event(minute=n)) for n in range(20)]
    with serving(world) as server:
        headers = bearer(world, Role.OPERATOR) | NDJSON
        answer = httpx.post(server.url + "/v1/events", content=iter(pieces), headers=headers)
    assert answer.json()["accepted"] == 20


def test_trickling_body_is_given_up(make_world: Callable[..., World]) -> None:
    """A client that stops in the middle of a body is answered 408 and holds nothing any more."""
    world = make_world(limits=RequestLimits(idle_s=0.3, body_s=1.0))
    with serving(world) as server, socket.create_connection((server.host, server.port)) as client:
        token = world.key(Role.OPERATOR)
        client.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        client.settimeout(5)
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_crowd_is_refused_not_queued(make_world: Callable[..., World]) -> None:
    """More requests at once than allowed get 503 with Retry-After; the process still says it is alive."""
    world = make_world(limits=RequestLimits(requests_max=1, idle_s=5))
    with serving(world) as server, socket.create_connection((server.host, server.port)) as slow:
        token = world.key(Role.OPERATOR)
        slow.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        time.sleep(0.2)
        answer = httpx.get(server.url + "/readyz")
        alive = httpx.get(server.url + "/healthz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert alive.status_code == 200


def test_tls_by_certificate_files(world: World, tmp_path: Path) -> None:
    """With certificate and key, requests come over TLS, and browsers are told to stay with it."""
    certificate, key = certified(tmp_path)
    with serving(world, tls_cert=certificate, tls_key=key) as server:
        answer = httpx.get(server.url + "/healthz", verify=ssl.create_default_context(cafile=certificate))
    assert server.url.startswith("https://")
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize("bad", ["certificate", "key", "both", "other key", "passphrase"])
def test_tls_files_that_are_none_are_a_mistake_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    """The server does not start, says which files, and ends as for any wrong configuration."""
    certificate, key = certified(tmp_path)
    if bad in {"certificate", "both"}:
        certificate.write_text("no certificate")
    if bad in {"key", "both"}:
        key.write_text("no key")
    if bad == "other key":
        (tmp_path / "other").mkdir()
        _, key = certified(tmp_path / "other")
    if bad == "passphrase":
        locked = tmp_path / "locked.pem"
        options = ["-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)]
        subprocess.run(["openssl", "rsa", *options], check=True, capture_output=True)
        key = locked
    config = tmp_path / "tocsin.yaml"
    config.write_text(
        f"data: {tmp_path / 'data'}\nhttp: {{port: 0, tls_cert: {certificate}, tls_key: {key}}}\n"
    )
    assert main(["serve", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert "tocsin: config_invalid: http.tls_" in said
    assert str(certificate if bad in {"certificate", "both"} else key) in said


def test_commands_trust_a_certificate_of_ones_own(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --ca-file they ask over TLS; without it they say what is missing, and never go on unproved."""
    certificate, key = certified(tmp_path)
    commands = (["digest"], ["query", "SELECT 1"], ["explain", "all"])
    with serving(world, tls_cert=certificate, tls_key=key) as server:
        to = ["--url", server.url, "--token", world.key(Role.OPERATOR)]
        for words in commands:
            assert main([*words, *to, "--ca-file", str(certificate)]) == 0, capsys.readouterr().err
            assert main([*words, *to]) == 3
            assert "with --ca-file" in capsys.readouterr().err
            assert main([*words, *to, "--ca-file", str(key)]) == 2
            assert f"{key} can't be read as certificates" in capsys.readouterr().err


def test_commands_ask_the_server_that_the_environment_names(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TOCSIN_URL and TOCSIN_TOKEN are enough for each; a folder that is named is opened all the same."""
    monkeypatch.chdir(tmp_path)
    with serving(world) as server:
        monkeypatch.setenv("TOCSIN_URL", server.url)
        monkeypatch.setenv("TOCSIN_TOKEN", world.key(Role.OPERATOR))
        for words in (["digest"], ["query", "SELECT 1"], ["explain", "all"]):
            assert main(words) == 0, capsys.readouterr().err
            assert main([*words, "--data", "none"]) == 2
            assert "none is no data folder of Tocsin" in capsys.readouterr().err


def certified(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for this machine that vouches for itself, and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_stopping_ends_live_views_and_frees_the_port(world: World) -> None:
    """An open stream doesn't hold up the end."""
    with serving(world) as server, httpx.Client(base_url=server.url, headers=bearer(world)) as client:
        with client.stream("GET", "/v1/stream") as response:
            rest = response.iter_bytes()
            next(rest)
            started_s = time.monotonic()
            server.stop()
            assert list(rest) == []
        assert time.monotonic() - started_s < 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/healthz")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_ends_by_itself_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its failure is kept and whoever runs it is called: a process that takes no requests must not go on."""
    server = HttpServer(world.app, HttpConfig(port=0), world.services.stream)
    called = []
    server.on_failure = lambda: called.append(server.failure)

    async def broken() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(server._server, "serve", broken)
    with pytest.raises(TocsinError, match="does not accept connections, the log says why"):
        server.start()
    server.stop()
    assert [str(error) for error in called] == ["broken"]
