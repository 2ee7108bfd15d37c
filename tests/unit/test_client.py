"""The HTTP client: order per device, repeats after failures, nothing twice, resuming."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.listening_kit import Listening
from tocsin.client import Backoff, Destination, EventSender, Journal, RefusedError, UnavailableError, send
from tocsin.errors import ConflictError
from tocsin.events import EventBatch
from tocsin.simulate.fleet import Fleet
from tocsin.simulate.simulator import Simulator

QUICK = Backoff(first_s=0.001, longest_s=0.01, give_up_s=5.0)
MINUTE_MS = 60_000


class Server(Listening):
    """A real HTTP server that keeps every body once by producer and sequence, and fails as told.

    `failures` is used up from the front, one a request: a status refuses, "cut" keeps the body and hangs
    up without an answer, None answers well.
    """

    def __init__(self, failures: list[int | str | None]) -> None:
        self.failures = failures
        self.bodies: dict[tuple[str, int], bytes] = {}
        self.tokens: set[str] = set()
        self.requests = 0
        super().__init__()

    def events(self) -> list[dict[str, Any]]:
        """Every event that was kept, by producer and sequence."""
        return [json.loads(line) for key in sorted(self.bodies) for line in self.bodies[key].splitlines()]

    def take(self, headers: Any, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """What to answer; None hangs up."""
        with self.lock:
            self.requests += 1
            failure = self.failures.pop(0) if self.failures else None
            self.tokens.add(headers["Authorization"])
            if isinstance(failure, int):
                return failure, {"code": "told", "detail": "to fail"}
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            key = headers["Tocsin-Producer"], int(headers["Tocsin-Sequence"])
            assert self.bodies.setdefault(key, body) == body, "one sequence, two bodies"
            accepted = len(body.splitlines())
            return None if failure == "cut" else (200, {"accepted": accepted, "rejected": 0, "repeated": 0})

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answer = server.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                if answer is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                payload = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(payload)))
                if answer[0] == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server([])
    yield running
    running.close()


def batches(minutes: int = 40, stations: int = 7) -> list[EventBatch]:
    simulator = Simulator(Fleet(stations=stations), [], 0)
    return [piece.batch for piece in simulator.chunks(minutes * MINUTE_MS, events=60)]


def sender(server: Server, **options: Any) -> EventSender:
    destination = Destination(url=server.url, token="secret", compress=options.pop("compress", False))
    return EventSender(destination, backoff=QUICK, rng=random.Random(1), **options)


def stamps_by_device(events: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event["device"], []).append(event["ts"])
    return found


def expected(pieces: list[EventBatch]) -> dict[str, list[int]]:
    rows = [
        {"device": device, "ts": int(ts)}
        for piece in pieces
        for device, ts in zip(piece.device.tolist(), piece.ts, strict=True)
    ]
    return stamps_by_device(rows)


@pytest.mark.parametrize("connections", [1, 3, 8])
@pytest.mark.parametrize("compress", [False, True])
def test_every_device_arrives_whole_and_in_order(server: Server, connections: int, compress: bool) -> None:
    """A device stays on one connection, so its events are there once and in the order given."""
    pieces = batches()
    sent = sender(server, connections=connections, body_events=11, compress=compress).send(pieces)
    assert stamps_by_device(server.events()) == expected(pieces)
    assert sent.events == sent.accepted == sum(map(len, pieces))
    producers = {
        json.loads(line)["device"]: key[0]
        for key, body in server.bodies.items()
        for line in body.splitlines()
    }
    assert len(set(producers.values())) == min(connections, 7)


def test_after_failures_nothing_is_lost_and_nothing_is_there_twice(server: Server) -> None:
    """Busy answers, lost answers and hang-ups are tried again with the same sequence."""
    rng = random.Random(5)
    server.failures = [rng.choice([503, 502, "cut", None]) for _ in range(60)]
    pieces = batches()
    sent = sender(server, connections=2, body_events=9).send(pieces)
    assert stamps_by_device(server.events()) == expected(pieces)
    assert sent.retries >= 20
    for producer in {key[0] for key in server.bodies}:
        sequences = sorted(number for name, number in server.bodies if name == producer)
        assert sequences == list(range(1, len(sequences) + 1))


def test_retry_after_is_waited_for(server: Server) -> None:
    """The server's word is the least pause, whatever the back-off would be."""
    server.failures = [429]
    began = threading.Event()
    pauses: list[float] = []

    class Watched(Backoff):
        def pause_s(self, tries: int, retry_after_s: float, rng: random.Random) -> float:
            pauses.append(super().pause_s(tries, retry_after_s, rng))
            began.set()
            return 0.0

    EventSender(Destination(url=server.url, token="t"), backoff=Watched(first_s=0.01)).send(batches(1))
    assert began.is_set()
    assert pauses == [1.0]


def test_pauses_grow_to_a_bound_and_are_drawn() -> None:
    """They are spread, so that clients do not come back all at once, and never beyond the bound."""
    rng = random.Random(3)
    backoff = Backoff(first_s=0.1, longest_s=2.0)
    pauses = [[backoff.pause_s(tries, 0.0, rng) for _ in range(200)] for tries in (1, 3, 50)]
    assert [round(max(each), 1) for each in pauses] == [0.1, 0.4, 2.0]
    assert all(min(each) < max(each) / 10 for each in pauses)


def test_a_server_that_stays_away_is_given_up() -> None:
    """The error names the server, the tries and the reason."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(UnavailableError, match=r"after \d+ tries"):
        send(batches(), url, "t", connections=2, backoff=Backoff(first_s=0.01, longest_s=0.01, give_up_s=0.1))


def test_a_server_that_takes_requests_and_answers_none_is_given_up_in_time() -> None:
    """The time that tries take counts: half a second of giving up is not stretched by timeouts to minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        destination = Destination(url=url, token="t", timeout_s=0.1)
        backoff = Backoff(first_s=0.001, longest_s=0.001, give_up_s=0.5)
        with pytest.raises(UnavailableError, match=r"after [1-6] tries: "):
            EventSender(destination, backoff=backoff).send(batches(1))


@pytest.mark.parametrize(
    ("scheme", "answer", "remedy"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "write its address with http://"),
        ("http", b"\x15\x03\x03\x00\x02\x02\x0a", "write its address with https://"),
    ],
)
def test_an_address_that_can_never_answer_ends_the_sending_at_once(
    scheme: str, answer: bytes, remedy: str
) -> None:
    """TLS asked of a server without, or the other way round: ten minutes of tries would not help."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def speak() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        speaking = threading.Thread(target=speak)
        speaking.start()
        url = f"{scheme}://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UnavailableError, match=remedy) as told:
            send(batches(1), url, "t", connections=1, backoff=QUICK)
        speaking.join()
    assert str(told.value).startswith(f"{url} can't be reached (")


def test_every_try_that_will_be_repeated_is_told_with_its_reason(server: Server) -> None:
    """Somebody who waits learns why."""
    server.failures = [503, None]
    reasons: list[str] = []
    assert sender(server, on_retry=reasons.append).send(batches(1)).retries == 1
    assert reasons == ["the server answered 503"]


@pytest.mark.parametrize("status", [401, 403, 409, 413, 415])
def test_a_refusal_ends_the_sending_at_once(server: Server, status: int) -> None:
    """Trying again would change nothing, and the server's reason is told."""
    server.failures = [status] * 100
    with pytest.raises(RefusedError, match=f"{status} told: to fail"):
        sender(server, connections=3).send(batches())
    assert server.requests <= 3


def test_a_body_of_bad_lines_is_counted_and_the_rest_is_sent(server: Server) -> None:
    """400 with counts is an answer about lines, not about the request."""
    original = server.take
    answers = iter([(400, {"accepted": 0, "rejected": 5})])
    server.take = lambda headers, body: next(answers, None) or original(headers, body)  # type: ignore[method-assign]
    sent = sender(server, body_events=5).send(batches(10, stations=1))
    assert sent.rejected == 5
    assert sent.accepted == sent.events - 5


def test_a_resumed_run_sends_only_what_was_not_acknowledged(server: Server, tmp_path: Path) -> None:
    """With the journal of a broken run the rest follows under the same producer, and nothing is twice."""
    pieces = batches()
    server.failures = [*[None] * 40, *[401] * 1000]
    journal = Journal(tmp_path / "journal", "file", 2)
    with pytest.raises(RefusedError):
        sender(server, connections=2, body_events=5, journal=journal).send(pieces)
    journal.close()
    before = len(server.bodies)
    server.failures = []
    again = sender(server, connections=2, body_events=5, journal=Journal(tmp_path / "journal", "file", 2))
    sent = again.send(pieces)
    assert sent.skipped > 0
    assert sent.bodies + before >= len(server.bodies)
    assert stamps_by_device(server.events()) == expected(pieces)


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    """Sequences of another file would make the server drop new events as repeats."""
    Journal(tmp_path / "journal", "one file", 2)
    with pytest.raises(ConflictError, match="another file"):
        Journal(tmp_path / "journal", "another file", 2)
    (tmp_path / "other").write_text("{}")
    with pytest.raises(ConflictError, match="no resume file"):
        Journal(tmp_path / "other", "file", 2)


def test_progress_counts_every_event_once(server: Server) -> None:
    """Whatever is repeated, the sum of the calls is the number of events."""
    server.failures = [503, None, "cut"]
    seen: list[int] = []
    pieces = batches()
    sender(server, connections=2, on_acknowledged=seen.append).send(pieces)
    assert sum(seen) == sum(map(len, pieces))


def test_a_failing_source_ends_the_threads(server: Server) -> None:
    """An error in what makes the batches reaches the caller, and no thread is left behind."""

    def broken() -> Iterator[EventBatch]:
        yield from batches(2)
        raise RuntimeError("the file broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        sender(server, connections=2).send(broken())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("send-")]


def test_the_token_is_sent_and_never_shown(server: Server) -> None:
    """It goes into the header, not into what is printed of the destination."""
    destination = Destination(url=server.url, token="very-secret")
    EventSender(destination).send(batches(1))
    assert server.tokens == {"Bearer very-secret"}
    assert "very-secret" not in repr(destination)


def test_events_of_one_batch_are_cut_into_bodies(server: Server) -> None:
    """No body is larger than asked for, and few are smaller."""
    whole = Simulator(Fleet(stations=3), [], 0).advance(60 * MINUTE_MS).batch
    sender(server, body_events=50).send([whole])
    sizes = [len(body.splitlines()) for body in server.bodies.values()]
    assert sorted(sizes, reverse=True)[:-1] == [50] * (len(sizes) - 1)
    assert np.sum(sizes) == len(whole)
