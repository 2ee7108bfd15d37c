"""The client that sends dumps: order per device, again after failures, every dump once, resuming."""

from __future__ import annotations

import hashlib
import json
import random
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dump_kit import content_digest
from tests.listening_kit import Listening
from tocsin.client import (
    Backoff,
    Destination,
    DumpFile,
    DumpJournal,
    DumpSender,
    RefusedError,
    UnavailableError,
    dump_sender,
    find_dumps,
    read_delivery,
)
from tocsin.client.retrying import Patience
from tocsin.clock import ManualClock
from tocsin.errors import ConflictError, InvalidInputError

QUICK = Backoff(first_s=0.001, longest_s=0.01, give_up_s=5.0)


class Server(Listening):
    """A real HTTP server that keeps the first body of each dump, and fails as told.

    `failures` is used up from the front, one a request: a status refuses, "late" keeps the body and hangs
    up without an answer, "early" hangs up in the middle of the body, None answers well.
    """

    def __init__(self) -> None:
        self.failures: list[int | str | None] = []
        self.dumps: dict[tuple[str, int], bytes] = {}
        self.order: list[tuple[str, int]] = []
        self.queries: set[str] = set()
        self.requests = 0
        super().__init__()

    def next_failure(self) -> int | str | None:
        with self.lock:
            self.requests += 1
            return self.failures.pop(0) if self.failures else None

    def take(self, path: str, body: bytes, digest: str) -> tuple[int, dict[str, Any]]:
        """What a good server answers."""
        parts = urlsplit(path)
        _, _, _, device, _, sequence = parts.path.split("/")
        key = unquote(device), int(sequence)
        with self.lock:
            self.queries.add(parts.query)
            if digest != content_digest(body):
                return 422, {"code": "digest_mismatch", "detail": "altered"}
            if body.startswith(b"bad"):
                return 422, {"code": "zip_limit", "detail": "too much"}
            if key not in self.dumps:
                self.dumps[key] = body
                self.order.append(key)
                return 201, {}
            same = self.dumps[key] == body
            return (200, {}) if same else (409, {"code": "dump_conflict", "detail": "another came before"})

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                failure = server.next_failure()
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length // 2 if failure == "early" else length)
                if failure != "early" and not isinstance(failure, int):
                    status, answer = server.take(self.path, body, self.headers["Content-Digest"])
                if isinstance(failure, str):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if isinstance(failure, int):
                    status, answer = failure, {"code": "told", "detail": "to fail"}
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def sender(server: Server, **options: Any) -> DumpSender:
    destination = Destination(url=server.url, token="secret")
    return DumpSender(destination, backoff=QUICK, rng=random.Random(1), **options)


def make(folder: Path, dumps: dict[tuple[str, int], bytes]) -> list[DumpFile]:
    """The dumps as files, found again."""
    for (device, sequence), body in dumps.items():
        path = folder / device.replace("/", "%2F") / f"{sequence}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return find_dumps(folder)


def fleet(devices: int = 3, dumps: int = 4) -> dict[tuple[str, int], bytes]:
    names = [f"press {n}/é" for n in range(devices)]
    return {(name, k): f"{name} {k}".encode() * 50 for name in names for k in range(1, dumps + 1)}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(failures=st.lists(st.sampled_from([503, 429, 500, "late", "early", None]), max_size=12))
def test_after_any_failures_every_dump_is_there_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, failures: list[int | str | None]
) -> None:
    """Refused, cut in the middle or answered into the void: sent again, and decided once."""
    server = Server()
    try:
        server.failures = list(failures)
        dumps = fleet()
        sent = sender(server, connections=2).send(make(tmp_path_factory.mktemp("dumps"), dumps))
    finally:
        server.close()
    assert server.dumps == dumps
    for device in {name for name, _ in dumps}:
        assert [sequence for name, sequence in server.order if name == device] == [1, 2, 3, 4]
    assert sent["dumps"] == len(dumps) == sent["accepted"] + sent["duplicate"]
    assert sent["retries"] == sum(failure is not None for failure in failures)


def test_every_outcome_is_counted_and_told(server: Server, tmp_path: Path) -> None:
    """Conflicts and bad archives are decisions of the server: told with the reason, and not tried again."""
    server.dumps = {("a", 1): b"x", ("a", 2): b"y"}
    told: list[tuple[str, str]] = []
    sent = sender(server, on_decided=lambda _, outcome, reason: told.append((outcome, reason))).send(
        make(tmp_path, {("a", 1): b"x", ("a", 2): b"z", ("a", 3): b"bad", ("a", 4): b"new"})
    )
    assert told == [
        ("duplicate", ""),
        ("conflict", "another came before"),
        ("quarantined", "zip_limit: too much"),
        ("accepted", ""),
    ]
    assert sent == {
        "dumps": 4, "accepted": 1, "duplicate": 1, "conflict": 1, "quarantined": 1, "skipped": 0,
        "bytes": 8, "retries": 0,
    }  # fmt: skip


def test_a_later_run_sends_the_rest_alone(server: Server, tmp_path: Path) -> None:
    """What was answered is not sent again, but a file that has changed is; a torn last line is no harm."""
    journal = tmp_path / "journal"
    dumps = fleet(devices=1)
    files = make(tmp_path / "dumps", dumps)
    opened = DumpJournal(journal)
    sender(server, journal=opened).send(files[:2])
    opened.close()
    journal.write_text(journal.read_text() + '["torn')
    files[1].path.write_bytes(b"changed")
    again = DumpJournal(journal)
    sent = sender(server, journal=again).send(files)
    again.close()
    assert (sent["skipped"], sent["conflict"], sent["accepted"]) == (1, 1, 2)
    last = DumpJournal(journal)
    assert sender(server, journal=last).send(files)["skipped"] == 4
    last.close()


def test_a_file_about_something_else_is_no_journal(tmp_path: Path) -> None:
    """Named wrongly, it is left as it is."""
    for text in ('{"producer": 1}\n', "hello\n", "[1]\n[2]\n"):
        path = tmp_path / "other"
        path.write_text(text)
        with pytest.raises(ConflictError):
            DumpJournal(path)
        assert path.read_text() == text


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415])
def test_a_refusal_for_good_ends_the_sending(server: Server, tmp_path: Path, status: int) -> None:
    """Trying again would change nothing; the reason and the file are told."""
    server.failures = [status]
    with pytest.raises(RefusedError, match=rf"1\.zip with {status} told: to fail"):
        sender(server, connections=1).send(make(tmp_path, fleet(devices=1)))
    assert server.requests == 1


def test_a_server_that_stays_busy_is_given_up(server: Server, tmp_path: Path) -> None:
    """After the time of the backoff, with the last reason."""
    server.failures = [503] * 1000
    quick = Backoff(first_s=0.001, longest_s=0.002, give_up_s=0.02)
    destination = Destination(url=server.url, token="secret")
    with pytest.raises(UnavailableError, match="503"):
        DumpSender(destination, backoff=quick).send(make(tmp_path, fleet(devices=1)))


def test_the_time_of_tries_counts_and_that_of_taking_bytes_does_not() -> None:
    """A server that answers nothing costs a timeout each time; a large body may rightly take long."""
    clock = ManualClock()
    backoff = Backoff(first_s=0, longest_s=0, give_up_s=100)
    patience = Patience("http://x", backoff, random.Random(1), clock)
    for _ in range(3):
        patience.move()
        clock.sleep(3600)  # while its bytes are taken
        patience.move()
        clock.sleep(30)  # without an answer
        assert patience.pause_s("no answer", 0) == 0
        clock.sleep(50)  # between tries: what of it is a pause is counted as such
    patience.move()
    clock.sleep(30)
    with pytest.raises(UnavailableError, match="after 4 tries: no answer"):
        patience.pause_s("no answer", 0)


def test_a_server_that_is_slow_to_fail_is_given_up(server: Server, tmp_path: Path) -> None:
    """Each of its answers takes a second here, the pauses take nothing."""

    class Ticking(ManualClock):
        def monotonic_s(self) -> float:
            self.sleep(1)
            return super().monotonic_s()

    server.failures = [503] * 1000
    backoff = Backoff(first_s=0, longest_s=0, give_up_s=5)
    with pytest.raises(UnavailableError, match="after 6 tries"):
        DumpSender(Destination(url=server.url, token="secret"), backoff=backoff, clock=Ticking()).send(
            make(tmp_path, {("a", 1): b"x"})
        )


def test_what_the_device_runs_is_sent_along(server: Server, tmp_path: Path) -> None:
    """Application and version, encoded."""
    sender(server, application="a&b", version="2.1").send(make(tmp_path, {("a", 1): b"x"}))
    assert server.queries == {"application=a%26b&version=2.1"}


def test_a_file_beside_the_dump_says_what_is_known_of_it(server: Server, tmp_path: Path) -> None:
    """It goes before what is given for all; a key that the server has no name for is told."""
    (dump,) = make(tmp_path, {("a", 1): b"x"})
    beside = dump.path.with_suffix(".json")
    beside.write_text('{"version": "3", "collected_from": "2026-01-05T06:00:00Z"}')
    sender(server, application="press", version="2").send([dump])
    assert server.queries == {"application=press&version=3&collected_from=2026-01-05T06%3A00%3A00Z"}
    for text, told in (
        ('{"vresion": "3"}', "vresion.*there are application"),
        ("[]", "object"),
        ("{", "can't be read"),
    ):
        beside.write_text(text)
        with pytest.raises(InvalidInputError, match=told):
            sender(server).send([dump])


def test_a_plan_decides_order_repeats_and_cuts(server: Server, tmp_path: Path) -> None:
    """Each cut reaches the server as a connection that breaks; at 1, it has all and its answer is lost."""
    (one, two) = make(tmp_path, {("a", 1): b"one" * 100, ("a", 2): b"two" * 100})
    plan = tmp_path / "plan"
    rows: list[dict[str, object]] = [
        {"sequence": 2, "cuts": [0.0, 0.5, 1.0]},
        {"sequence": 1},
        {"sequence": 2},
    ]
    plan.write_text("".join(json.dumps({"device": "a"} | row) + "\n" for row in rows))
    sent = sender(server).deliver(read_delivery(plan, [one, two]))
    assert server.order == [("a", 2), ("a", 1)]
    assert server.dumps == {("a", 1): b"one" * 100, ("a", 2): b"two" * 100}
    assert (sent["dumps"], sent["cuts"], sent["retries"]) == (3, 3, 0)
    assert sent["accepted"] + sent["duplicate"] == 3
    assert server.requests >= 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"device": "a", "sequence": 3}', "line 1: there is no dump 3 of 'a'"),
        ('{"device": "a", "sequence": 1, "cuts": [2]}', "cuts are shares"),
        ("nonsense", "line 1"),
    ],
)
def test_a_plan_that_makes_no_sense_is_told_by_line(tmp_path: Path, text: str, told: str) -> None:
    """Before anything is sent."""
    (tmp_path / "plan").write_text(text)
    with pytest.raises(InvalidInputError, match=told):
        read_delivery(tmp_path / "plan", make(tmp_path, {("a", 1): b"x"}))


def test_dumps_are_found_by_their_names(tmp_path: Path) -> None:
    """Folders are devices, percent-encoded; numbers sort as numbers; other files are passed over."""
    for name in ("a%2Fb/2.zip", "a%2Fb/010.zip", "a%2Fb/labels.csv", "c/1.zip"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = [(dump.device, dump.sequence) for dump in find_dumps(tmp_path)]
    assert found == [("a/b", 2), ("a/b", 10), ("c", 1)]
    assert [dump.device for dump in find_dumps(tmp_path / "c", "x")] == ["x"]


def test_later_epochs_come_after_all_of_the_first(tmp_path: Path) -> None:
    """EPOCH-SEQUENCE.zip; a journal keeps epochs apart, and one that is older than they are still holds."""
    (tmp_path / "a").mkdir()
    for name in ("1-1.zip", "3.zip", "2.zip", "0-4.zip", "10-1.zip", "1-02.zip"):
        (tmp_path / "a" / name).write_bytes(b"")
    found = [(dump.epoch, dump.sequence) for dump in find_dumps(tmp_path)]
    assert found == [(0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (10, 1)]
    path = tmp_path / "journal"
    path.write_text('{"tocsin": "dumps"}\n["u", "a", 1, "00"]\n')
    journal = DumpJournal(path)
    journal.add(("u", "a", 1, "00", 1))
    journal.close()
    again = DumpJournal(path)
    assert [again.has(("u", "a", 1, "00", epoch)) for epoch in range(3)] == [True, True, False]
    again.close()


@pytest.mark.parametrize("name", ["a/one.zip", "a/0.zip", "1.zip", "a/b/1.zip", "a/-1.zip", "a/1e3.zip"])
def test_a_zip_that_fits_no_form_is_named(tmp_path: Path, name: str) -> None:
    """Nothing that may be meant as a dump is passed over in silence."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"SEQUENCE\.zip"):
        find_dumps(tmp_path)


def test_one_sequence_twice_and_no_dumps_are_told(tmp_path: Path) -> None:
    """Which of the two is meant nobody can know."""
    with pytest.raises(InvalidInputError, match="no dumps"):
        find_dumps(tmp_path)
    with pytest.raises(InvalidInputError, match="no folder"):
        find_dumps(tmp_path / "absent")
    make(tmp_path, {("a", 1): b""})
    (tmp_path / "a" / "01.zip").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="one sequence"):
        find_dumps(tmp_path)


def test_a_dump_is_hashed_again_only_when_it_may_be_another(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one may need many tries; what the server calls altered is read again in any case."""
    first, second = make(tmp_path, {("a", 1): b"content", ("b", 1): b"other"})
    hashed: list[Path] = []

    def counted(path: Path) -> tuple[bytes, int]:
        hashed.append(path)
        body = b"not yet written" if path.parent.name == "b" and len(hashed) == 2 else path.read_bytes()
        return hashlib.sha256(body).digest(), path.stat().st_size

    monkeypatch.setattr(dump_sender, "_hash", counted)
    server.failures = [503, 503, 503]
    sender(server).send([first])
    assert len(hashed) == 1
    sender(server).send([second])
    assert len(hashed) == 3
    assert server.dumps == {("a", 1): b"content", ("b", 1): b"other"}


def test_a_dump_that_changes_while_it_is_sent_is_sent_as_it_is_then(server: Server, tmp_path: Path) -> None:
    """The hash is taken again for the next try."""
    (dump,) = make(tmp_path, {("a", 1): b"before"})

    def change(_: str) -> None:
        dump.path.write_bytes(b"after!!")

    server.failures = [503]
    sender(server, on_retry=change).send([dump])
    assert hashlib.sha256(server.dumps["a", 1]).digest() == hashlib.sha256(b"after!!").digest()
