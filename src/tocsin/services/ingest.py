"""Takes a body in: parse, check, stamp, route, append; nothing is answered before it is durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import xxhash

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import BackpressureError, ForbiddenError, InvalidInputError
from tocsin.events import EventBatch, encode_events
from tocsin.ingest.parsing.body import parse_body
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError
from tocsin.log.abstract import Append, Appended, DeadLetter, Log, Part, RecordKind
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import INGEST_LINES, INGEST_REJECTED
from tocsin.services.receipt import Receipt, receipt_of, repeated_receipt, told_by

NAME_CHARACTERS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One body as it came. `producer` and `sequence` make it idempotent; both or none."""

    body: bytes
    content_type: str = "application/x-ndjson"
    content_encoding: str = ""
    producer: str = ""
    sequence: str = ""
    source: str = "http"


@dataclass(frozen=True, slots=True)
class _Handed:
    """A body on its way: its receipt once `appended` is done, or at once where that is None."""

    receipt: Receipt
    errors: Sequence[LineError] = ()
    appended: Future[Appended] | None = None


class Ingest:
    """Parses in `threads` threads; holds at most `bodies_max` bodies, above that refuses at once."""

    def __init__(
        self,
        *,
        log: Log,
        gate: Gate,
        clock: Clock,
        meters: Meters,
        limits: ParseLimits,
        threads: int = 2,
        bodies_max: int = 256,
    ) -> None:
        self._log = log
        self._gate = gate
        self._clock = clock
        self._meters = meters
        self._limits = limits
        self._places = threading.BoundedSemaphore(bodies_max)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ingest")

    async def deliver(self, principal: Principal, delivery: Delivery) -> Receipt:
        """What to tell the sender, once every record is durable; doesn't block the event loop."""
        with self._place():
            loop = asyncio.get_running_loop()
            handed = await loop.run_in_executor(self._pool, self._hand_over, principal, delivery)
            if handed.appended is None:
                return self._settle(handed, None)
            return self._settle(handed, await asyncio.wrap_future(handed.appended))

    def deliver_now(self, principal: Principal, delivery: Delivery) -> Receipt:
        """As `deliver`, in this thread; for callers without an event loop."""
        with self._place():
            handed = self._hand_over(principal, delivery)
            return self._settle(handed, handed.appended and handed.appended.result())

    def close(self) -> None:
        """Let the threads end; idempotent. The log is not closed."""
        self._pool.shutdown()

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise BackpressureError("Too many bodies are being worked on.", retry_after_s=1)
        try:
            yield
        finally:
            self._places.release()
