"""Sends events to a server over HTTP: in order per device, again after failures, never twice."""

from __future__ import annotations

import gzip
import json
import queue
import random
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import numpy as np

from tocsin.errors import ConflictError, InvalidInputError, TocsinError
from tocsin.events import EventBatch
from tocsin.interning import Interner
from tocsin.ndjson import CONTENT_TYPE, encode_ndjson

EVENTS_PATH: Final = "/v1/events"
PRODUCER_HEADER: Final = "Tocsin-Producer"
SEQUENCE_HEADER: Final = "Tocsin-Sequence"

_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_QUEUE_BODIES_MAX: Final = 2
_JOURNAL_EVERY_BODIES: Final = 20


class UnavailableError(TocsinError):
    """The server could not be reached, or was too busy for too long; what it acknowledged is safe."""

    code = "unavailable"
    status = 503


class RefusedError(TocsinError):
    """The server refuses these events for good: trying again would change nothing."""

    code = "refused"
    status = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A server and the right to send to it. `ca_file`: certificates to trust besides the system's."""

    url: str
    token: str = field(repr=False)
    compress: bool = False
    timeout_s: float = 60.0
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between tries: drawn from 0 to a bound that doubles, never less than the server's Retry-After.

    A body that was tried for `give_up_s` ends the sending with UnavailableError.
    """

    first_s: float = 0.1
    longest_s: float = 10.0
    give_up_s: float = 600.0

    def pause_s(self, tries: int, retry_after_s: float, rng: random.Random) -> float:
        """How long to wait after the given number of failed tries (from 1)."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(tries - 1, 60))
        return max(retry_after_s, rng.uniform(0, bound))


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


class Journal:
    """Remembers in a file how far each connection came, so that a later run skips what was acknowledged.

    `fingerprint` names what is being sent (file, mapping, size of bodies); ConflictError if the file is
    about something else. It may lag behind by a few bodies: those are sent again and found repeated.
    """

    def __init__(self, path: Path, fingerprint: str, connections: int) -> None:
        self._path = path
        self._fingerprint = f"{fingerprint}|{connections}"
        self.producer = uuid4().hex
        self.acknowledged = [0] * connections
        self._since_write = 0
        if path.exists():
            self._load()
        self._write()

    def acknowledge(self, connection: int, sequence: int) -> None:
        """The server holds every body of this connection up to `sequence`."""
        self.acknowledged[connection] = sequence
        self._since_write += 1
        if self._since_write >= _JOURNAL_EVERY_BODIES:
            self._write()

    def close(self) -> None:
        """Write down the last acknowledgements."""
        self._write()

    def _load(self) -> None:
        try:
            stored = json.loads(self._path.read_text())
            same = stored["fingerprint"] == self._fingerprint
            self.producer, self.acknowledged = (
                str(stored["producer"]),
                [int(n) for n in stored["acknowledged"]],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConflictError(f"{self._path} is no resume file; name another one") from error
        if not same:
            raise ConflictError(
                f"{self._path} belongs to another file, other options or another number of connections; "
                "use the same ones, or remove it to begin anew"
            )

    def _write(self) -> None:
        content = {
            "fingerprint": self._fingerprint,
            "producer": self.producer,
            "acknowledged": self.acknowledged,
        }
        draft = self._path.with_name(self._path.name + ".part")
        draft.write_text(json.dumps(content))
        draft.replace(self._path)
        self._since_write = 0


class EventSender:
    """Sends batches through `connections` parallel connections, each with a thread and a producer id.

    A device always uses the same connection, so its events arrive in the order given. Every body has the
    connection's next sequence and keeps it through all tries, so the server takes it once. At most two
    bodies a connection wait in memory; `send` blocks meanwhile. `on_acknowledged` is called with numbers
    of events, from any thread.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        connections: int = 1,
        body_events: int = 5_000,
        backoff: Backoff | None = None,
        journal: Journal | None = None,
        on_acknowledged: Callable[[int], None] = lambda _: None,
        rng: random.Random | None = None,
    ) -> None:
        if not 1 <= connections <= 256:
            raise InvalidInputError("connections must be 1 to 256", field="connections")
        self._interner = Interner()
        self._body_events = body_events
        self._stop = threading.Event()
        producer = journal.producer if journal else uuid4().hex
        rng = rng or random.Random()
        self._connections = [
            _Connection(
                number,
                f"{producer}-{number}",
                destination,
                backoff or Backoff(),
                journal,
                on_acknowledged,
                random.Random(rng.random()),
                self._stop,
            )
            for number in range(connections)
        ]

    def send(self, batches: Iterable[EventBatch]) -> Sent:
        """Send everything and wait for the last acknowledgement.

        Raises UnavailableError or RefusedError as soon as one connection has given up.
        """
        for connection in self._connections:
            connection.start()
        try:
            for batch in batches:
                for number, piece in self._split(batch):
                    self._connections[number].put(piece)
            for connection in self._connections:
                connection.finish()
        finally:
            self._stop.set()
            for connection in self._connections:
                connection.join()
        return self.sent()

    def sent(self) -> Sent:
        """Sums up to now, over all connections."""
        fields = Sent.__dataclass_fields__
        sums = {name: sum(getattr(each.sent, name) for each in self._connections) for name in fields}
        return Sent(**sums)

    def _split(self, batch: EventBatch) -> Iterator[tuple[int, EventBatch]]:
        """Pieces of at most `body_events`, each for one connection, in order."""
        owner = self._interner.intern(batch.device) % len(self._connections)
        for number in range(len(self._connections)):
            rows = np.flatnonzero(owner == number)
            for begin in range(0, len(rows), self._body_events):
                yield number, batch.take(rows[begin : begin + self._body_events])


class _Connection:
    """One thread that sends bodies strictly one after another."""

    def __init__(
        self,
        number: int,
        producer: str,
        destination: Destination,
        backoff: Backoff,
        journal: Journal | None,
        on_acknowledged: Callable[[int], None],
        rng: random.Random,
        stop: threading.Event,
    ) -> None:
        self._number = number
        self._producer = producer
        self._destination = destination
        self._backoff = backoff
        self._journal = journal
        self._on_acknowledged = on_acknowledged
        self._rng = rng
        self._stop = stop
        self._queue: queue.Queue[EventBatch | None] = queue.Queue(_QUEUE_BODIES_MAX)
        self._thread = threading.Thread(target=self._run, name=f"send-{number}", daemon=True)
        self._error: BaseException | None = None
        self.sent = Sent()

    def start(self) -> None:
        self._thread.start()

    def put(self, piece: EventBatch | None) -> None:
        """Hand over a body; blocks while two are waiting, raises what ended the thread."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                return self._queue.put(piece, timeout=0.2)
            except queue.Full:
                continue

    def finish(self) -> None:
        """Wait until all that was put is acknowledged; raises what prevented it."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            with _http_client(self._destination, self._producer) as http:
                for sequence, piece in enumerate(self._pieces(), start=1):
                    self._deliver(http, sequence, piece)
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._error = error
            self._stop.set()

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
            body = encode_ndjson(piece)
            if self._destination.compress:
                body = gzip.compress(body, compresslevel=1, mtime=0)
            answer = self._post(http, sequence, body)
            if answer is None:
                return
            self._count(len(piece), len(body), answer)
            if self._journal:
                self._journal.acknowledge(self._number, sequence)
        self._on_acknowledged(len(piece))

    def _post(self, http: httpx.Client, sequence: int, body: bytes) -> dict[str, Any] | None:
        """The server's answer to a body, tried until it has one; None when sending was stopped."""
        tries, waited_s = 0, 0.0
        while not self._stop.is_set():
            try:
                response = http.post(EVENTS_PATH, content=body, headers={SEQUENCE_HEADER: str(sequence)})
                retry_after_s, reason = (
                    _retry_after_s(response),
                    f"the server answered {response.status_code}",
                )
                if response.status_code not in _TRY_AGAIN:
                    return _answer(response)
            except httpx.TransportError as error:
                retry_after_s, reason = 0.0, str(error) or type(error).__name__
            tries += 1
            self.sent.retries += 1
            pause_s = self._backoff.pause_s(tries, retry_after_s, self._rng)
            waited_s += pause_s
            if waited_s > self._backoff.give_up_s:
                raise UnavailableError(f"gave up on {self._destination.url} after {tries} tries: {reason}")
            self._stop.wait(pause_s)
        return None

    def _count(self, events: int, size: int, answer: dict[str, Any]) -> None:
        self.sent.bodies += 1
        self.sent.events += events
        self.sent.bytes += size
        for name in ("accepted", "rejected", "repeated"):
            setattr(self.sent, name, getattr(self.sent, name) + int(answer.get(name, 0)))


def send(
    batches: Iterable[EventBatch], url: str, token: str, *, connections: int = 1, **options: Any
) -> Sent:
    """Send batches of events to a server; see EventSender for the promises and the other options."""
    return EventSender(Destination(url=url, token=token), connections=connections, **options).send(batches)


def _http_client(destination: Destination, producer: str) -> httpx.Client:
    context = ssl.create_default_context()
    if destination.ca_file is not None:
        context.load_verify_locations(destination.ca_file)
    headers = {
        "Authorization": f"Bearer {destination.token}",
        "Content-Type": CONTENT_TYPE,
        PRODUCER_HEADER: producer,
    }
    if destination.compress:
        headers["Content-Encoding"] = "gzip"
    return httpx.Client(
        base_url=destination.url, headers=headers, timeout=destination.timeout_s, verify=context
    )


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 if it says nothing or names a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), 300.0) if text.isdigit() else 0.0


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    if not isinstance(answer, dict):
        answer = {}
    if response.is_success or (response.status_code == 400 and "rejected" in answer):
        return answer
    code, detail = answer.get("code", "refused"), answer.get("detail", response.reason_phrase)
    raise RefusedError(f"the server refuses with {response.status_code} {code}: {detail}")
