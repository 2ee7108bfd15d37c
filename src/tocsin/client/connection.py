"""One connection: a thread that sends bodies strictly one after another."""

from __future__ import annotations

import gzip
import queue
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tocsin.client.destination import Backoff, Destination, RefusedError
from tocsin.client.journal import Journal
from tocsin.client.retrying import TRY_AGAIN, Patience, object_of, refusal_of, retry_after_s, unreached
from tocsin.clock import Clock
from tocsin.events import EventBatch
from tocsin.log_lines import are_log_lines, encode_sent
from tocsin.ndjson import CONTENT_TYPE, encode_ndjson

EVENTS_PATH: Final = "/v1/events"
LOGS_PATH: Final = "/v1/logs"
PRODUCER_HEADER: Final = "Tocsin-Producer"
SEQUENCE_HEADER: Final = "Tocsin-Sequence"

_QUEUE_BODIES_MAX: Final = 2
_LONG_S: Final = 5.0


@dataclass(slots=True)
class Sent:
    """Sums over all answers: lines as the server counted them, and the tries that had to be repeated."""

    bodies: int = 0
    events: int = 0
    bytes: int = 0
    accepted: int = 0
    rejected: int = 0
    repeated: int = 0
    retries: int = 0
    skipped: int = 0


class Fate:
    """What all connections of one sending share: whether to stop, and the first error that said so."""

    def __init__(self) -> None:
        self.stop: Final = threading.Event()
        self._error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """Stop every connection; the first error is the one that is told."""
        self._error = self._error or error
        self.stop.set()

    def check(self) -> None:
        """Raise the error that stopped the sending, if one did."""
        if self._error is not None:
            raise self._error


class Connection:
    """One thread that sends bodies strictly one after another."""

    def __init__(
        self,
        number: int,
        producer: str,
        destination: Destination,
        backoff: Backoff,
        journal: Journal | None,
        on_acknowledged: Callable[[int], None],
        on_retry: Callable[[str], None],
        rng: random.Random,
        fate: Fate,
        clock: Clock,
    ) -> None:
        self._number = number
        self._producer = producer
        self._destination = destination
        self._backoff = backoff
        self._journal = journal
        self._on_acknowledged = on_acknowledged
        self._on_retry = on_retry
        self._rng = rng
        self._fate = fate
        self._stop = fate.stop
        self._clock = clock
        self._queue: queue.Queue[EventBatch | None] = queue.Queue(_QUEUE_BODIES_MAX)
        self._thread = threading.Thread(target=self._run, name=f"send-{number}", daemon=True)
        self.sent = Sent()

    def start(self) -> None:
        self._thread.start()

    def put(self, piece: EventBatch | None) -> None:
        """Hand over a body; blocks while two are waiting, raises what ended this or another connection."""
        while True:
            self._fate.check()
            try:
                return self._queue.put(piece, timeout=0.2)
            except queue.Full:
                continue

    def finish(self) -> None:
        """Wait until all that was put is acknowledged; raises what prevented it."""
        self.put(None)
        self._thread.join()
        self._fate.check()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            with _http_client(self._destination, self._producer) as http:
                for sequence, piece in enumerate(self._pieces(), start=1):
                    self._deliver(http, sequence, piece)
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._fate.fail(error)

    def _pieces(self) -> Iterator[EventBatch]:
        while not self._stop.is_set():
            try:
                piece = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if piece is None:
                return
            yield piece

    def _deliver(self, http: httpx.Client, sequence: int, piece: EventBatch) -> None:
        if self._journal and sequence <= self._journal.acknowledged[self._number]:
            self.sent.skipped += len(piece)
        else:
            logs = are_log_lines(piece)
            body = encode_sent(piece) if logs else encode_ndjson(piece)
            if self._destination.compress:
                body = gzip.compress(body, compresslevel=1, mtime=0)
            answer = self._post(http, LOGS_PATH if logs else EVENTS_PATH, sequence, body)
            if answer is None:
                return
            self._count(len(piece), len(body), answer)
            if self._journal:
                self._journal.acknowledge(self._number, sequence)
        self._on_acknowledged(len(piece))

    def _post(self, http: httpx.Client, path: str, sequence: int, body: bytes) -> dict[str, Any] | None:
        """The server's answer to a body, tried until it has one; None when sending was stopped."""
        patience = Patience(self._destination.url, self._backoff, self._rng, self._clock)
        while not self._stop.is_set():
            patience.move()
            try:
                response = http.post(path, content=body, headers={SEQUENCE_HEADER: str(sequence)})
                wait_s = retry_after_s(response)
                reason = f"the server answered {response.status_code}"
                if wait_s >= _LONG_S:
                    reason += f" and asks to wait {wait_s:.0f} s"
                if response.status_code not in TRY_AGAIN:
                    return _answer(response)
            except httpx.TransportError as error:
                wait_s, reason = 0.0, unreached(self._destination.url, error)
            pause_s = patience.pause_s(reason, wait_s)
            self.sent.retries += 1
            self._on_retry(reason)
            self._stop.wait(pause_s)
        return None

    def _count(self, events: int, size: int, answer: dict[str, Any]) -> None:
        self.sent.bodies += 1
        self.sent.events += events
        self.sent.bytes += size
        for name in ("accepted", "rejected", "repeated"):
            setattr(self.sent, name, getattr(self.sent, name) + int(answer.get(name, 0)))


def _http_client(destination: Destination, producer: str) -> httpx.Client:
    headers = {
        "Authorization": f"Bearer {destination.token}",
        "Content-Type": CONTENT_TYPE,
        PRODUCER_HEADER: producer,
    }
    if destination.compress:
        headers["Content-Encoding"] = "gzip"
    return httpx.Client(
        base_url=destination.url,
        headers=headers,
        timeout=destination.timeout_s,
        verify=destination.tls_context(),
    )


def _answer(response: httpx.Response) -> dict[str, Any]:
    answer = object_of(response)
    if response.is_success or (response.status_code == 400 and "rejected" in answer):
        return answer
    code, detail = refusal_of(response)
    raise RefusedError(f"the server refuses with {response.status_code} {code}: {detail}")
