"""Spreads batches over connections, so that each device keeps its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from uuid import uuid4

import numpy as np

from tocsin.client.connection import Connection, Fate, Sent
from tocsin.client.destination import Backoff, Destination
from tocsin.client.journal import Journal
from tocsin.clock import Clock, SystemClock
from tocsin.errors import InvalidInputError
from tocsin.events import EventBatch
from tocsin.interning import Interner
from tocsin.log_lines import are_log_lines

_BODY_BYTES_MAX: Final = 8 << 20
_EVENT_BYTES: Final = 256  # generous guesses, text fields aside
_READING_BYTES: Final = 48


class EventSender:
    """Sends batches through `connections` parallel connections, each with a thread and a producer id.

    A device always uses the same connection, so its events arrive in the order given. Every body has the
    connection's next sequence and keeps it through all tries, so the server takes it once. At most two
    bodies a connection wait in memory; `send` blocks meanwhile. `on_acknowledged` is called with numbers
    of events, `on_retry` with the reason of each try that failed and will be repeated; both from any thread.
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
        on_retry: Callable[[str], None] = lambda _: None,
        rng: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not 1 <= connections <= 256:
            raise InvalidInputError("connections must be 1 to 256", field="connections")
        self._interner = Interner()
        self._body_events = body_events
        fate = Fate()
        self._stop = fate.stop
        producer = journal.producer if journal else uuid4().hex
        rng = rng or random.Random()
        self._connections = [
            Connection(
                number,
                f"{producer}-{number}",
                destination,
                backoff or Backoff(),
                journal,
                on_acknowledged,
                on_retry,
                random.Random(rng.random()),
                fate,
                clock or SystemClock(),
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
        # Wide events make large bodies, and servers bound bodies by bytes.
        event_bytes = _EVENT_BYTES + _READING_BYTES * batch.readings // max(1, len(batch))
        if are_log_lines(batch):
            event_bytes += len(batch.text.data) // len(batch)
        size = max(1, min(self._body_events, _BODY_BYTES_MAX // event_bytes))
        owner = self._interner.intern(batch.device) % len(self._connections)
        for number in range(len(self._connections)):
            rows = np.flatnonzero(owner == number)
            for begin in range(0, len(rows), size):
                yield number, batch.take(rows[begin : begin + size])


def send(
    batches: Iterable[EventBatch], url: str, token: str, *, connections: int = 1, **options: Any
) -> Sent:
    """Send batches of events to a server; see EventSender for the promises and the other options."""
    return EventSender(Destination(url=url, token=token), connections=connections, **options).send(batches)
