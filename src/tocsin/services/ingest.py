"""Takes a body in: parse, check, stamp, route, append; nothing is answered before it is durable."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Final

import xxhash

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.config.sections import IngestConfig
from tocsin.errors import BackpressureError, ConflictError, ForbiddenError, InvalidInputError
from tocsin.ingest.admission import Admitted, Catalogue
from tocsin.ingest.log_admission import as_lines_sent
from tocsin.ingest.parsing.body import parse_body
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineError
from tocsin.ingest.parsing.log_body import parse_log_body
from tocsin.ingest.stamping import clock_warnings, stamp, stamped_in_seconds, unit_warnings
from tocsin.log.abstract import Append, Appended, DeadLetter, Log, Part, RecordKind
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import (
    INGEST_DEAD_LETTERS_LEFT_OUT,
    INGEST_LINES,
    INGEST_PARSE_DURATION,
    INGEST_REJECTED,
)
from tocsin.observability.tracing import SpanName, Tracing
from tocsin.payloads import cut_events
from tocsin.services.fair_pool import FairPool
from tocsin.services.finishing import finished
from tocsin.services.receipt import LINES_TOLD_MAX, Receipt, receipt_of, repeated_receipt, told_by
from tocsin.threads import Future, future, semaphore

NAME_CHARACTERS_MAX: Final = 256
_BODY_COST_BYTES: Final = 8_192  # what an empty body costs, as bytes of a large one


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One body as it came. `producer` and `sequence` make it idempotent; both or none.

    Refused lines become dead letters, the first of a body, unless they are such already
    (`keep_rejected` is False). `one_line` refuses a body that turns out to have another number of lines.
    `on_behalf_of` speaks for what it may speak for, besides whoever delivers it. `logs`: it holds log
    lines instead of events.
    """

    body: bytes
    content_type: str = "application/x-ndjson"
    content_encoding: str = ""
    producer: str = ""
    sequence: str = ""
    source: str = "http"
    keep_rejected: bool = True
    one_line: bool = False
    on_behalf_of: Principal | None = None
    logs: bool = False


@dataclass(frozen=True, slots=True)
class _Handed:
    """A body on its way: its receipt once `appended` is done, or at once where that is None."""

    receipt: Receipt
    errors: Sequence[LineError] = ()
    appended: Future[Appended] | None = None


class Ingest:
    """Parses in `threads` threads a tenant; holds at most `bodies_max` bodies, above that refuses at once."""

    def __init__(
        self,
        *,
        log: Log,
        catalogue: Catalogue,
        clock: Clock,
        meters: Meters,
        tracing: Tracing,
        config: IngestConfig,
        parse_limits: ParseLimits,
        threads: int = 2,
        bodies_max: int = 256,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._clock = clock
        self._meters = meters
        self._tracing = tracing
        self._config = config
        self._parse_limits = parse_limits
        self._places = semaphore(bodies_max)
        self._pool = FairPool(threads, "ingest")

    async def deliver(self, principal: Principal, delivery: Delivery) -> Receipt:
        """What to tell the sender, once every record is durable; doesn't block the event loop.

        The body keeps its place until then, also when its sender has gone.
        """
        with self._place():
            outcome: Future[tuple[_Handed, Appended | None]] = future()
            outcome.set_running_or_notify_cancel()  # a client that goes away can't take it back
            context = copy_context()  # the trace goes along
            work = partial(context.run, self._hand_over, principal, delivery)
            handed = self._pool.submit(principal, len(delivery.body) + _BODY_COST_BYTES, work)
            handed.add_done_callback(lambda done: context.run(self._follow, done, outcome))
            try:
                return self._settle(*await finished(outcome))
            except asyncio.CancelledError:
                # Its sender has gone. What it sent is in the log all the same, and has to be counted.
                if outcome.done() and outcome.exception() is None:
                    self._settle(*outcome.result())
                raise

    def deliver_now(self, principal: Principal, delivery: Delivery) -> Receipt:
        """As `deliver`, in this thread; for callers without an event loop."""
        with self._place():
            handed = self._hand_over(principal, delivery)
            return self._settle(handed, handed.appended.result() if handed.appended else None)

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

    def _follow(self, handed: Future[_Handed], outcome: Future[tuple[_Handed, Appended | None]]) -> None:
        """Let the outcome come when the body is durable, so that the event loop wakes once for it.

        It comes in any case: what is raised in here reaches nobody else, and the sender would wait for ever.
        """
        try:
            self._pass_on(handed, outcome)
        except Exception as error:  # noqa: BLE001 - handed to the sender's request, which fails loudly
            outcome.set_exception(error)

    def _pass_on(self, handed: Future[_Handed], outcome: Future[tuple[_Handed, Appended | None]]) -> None:
        if error := handed.exception():
            outcome.set_exception(error)
            return
        body = handed.result()
        if body.appended is None:
            outcome.set_result((body, None))
            return
        span = self._tracing.begin(SpanName.APPEND)

        def pass_on(appended: Future[Appended]) -> None:
            try:
                span.end()
            finally:
                if error := appended.exception():
                    outcome.set_exception(error)
                else:
                    outcome.set_result((body, appended.result()))

        body.appended.add_done_callback(pass_on)

    def _hand_over(self, principal: Principal, delivery: Delivery) -> _Handed:
        require(principal, Permission.INGEST)
        producer = _producer(principal, delivery)
        fingerprint = b""
        if producer:
            fingerprint = xxhash.xxh3_128_digest(delivery.body)
            answer = self._log.find_answer(principal.tenant, producer, delivery.sequence, fingerprint)
            if answer is not None:
                return _Handed(repeated_receipt(answer))
        arrival_ms = self._clock.now_ms()
        parsed = self._parse(principal, delivery)
        config = self._config
        batch, wrong = stamp(
            parsed.batch,
            arrival_ms,
            live_ms=config.live_within_s * 1000,
            skew_ms=config.clock_ahead_max_s * 1000,
        )
        field = "time" if delivery.logs else "ts"
        told = clock_warnings(batch, parsed.line, wrong[:LINES_TOLD_MAX], arrival_ms, field)
        seconds = stamped_in_seconds(batch)
        told += unit_warnings(batch, parsed.line, seconds[: LINES_TOLD_MAX - len(told)], field)
        kept = parsed.errors[: config.dead_letters_per_body_max] if delivery.keep_rejected else ()
        left_out = len(parsed.errors) - len(kept) if delivery.keep_rejected else 0
        receipt = receipt_of(len(batch), parsed.errors, told, len(wrong) + len(seconds), left_out)
        if not len(batch) and not kept:
            return _Handed(receipt, parsed.errors)
        append = Append(
            tenant=principal.tenant,
            arrival_ms=arrival_ms,
            parts=[
                Part(partition, RecordKind.EVENTS, count, payload)
                for partition, count, payload in cut_events(batch, parsed.partition, self._log.partitions)
            ],
            dead_letters=_dead_letters(principal, arrival_ms, delivery.source, kept),
            producer=producer,
            sequence=delivery.sequence,
            fingerprint=fingerprint,
            answer=receipt.body,
        )
        return _Handed(receipt, parsed.errors, self._log.submit(append))

    def _parse(self, principal: Principal, delivery: Delivery) -> Admitted:
        started_s = time.perf_counter()
        with self._tracing.span(SpanName.PARSE, {"body_bytes": len(delivery.body)}):
            parsed = (parse_log_body if delivery.logs else parse_body)(
                delivery.body,
                content_type=delivery.content_type,
                content_encoding=delivery.content_encoding,
                limits=self._parse_limits,
            )
        self._meters.record(INGEST_PARSE_DURATION, time.perf_counter() - started_s)
        if delivery.one_line and parsed.received != 1:
            raise ConflictError(f"It would be sent as {parsed.received} lines, so it is not sent again.")
        senders = [principal] if delivery.on_behalf_of is None else [principal, delivery.on_behalf_of]
        for sender in senders:
            allowed = sender.may_speak_for(parsed.batch.device)
            if not allowed.all():  # the whole body, since whoever sends for others is misconfigured or worse
                device = parsed.batch.device[int(allowed.argmin())]
                raise ForbiddenError(
                    f"This credential may not speak for {device!r}, so nothing of the body was taken.",
                    field="device",
                )
        admitted = self._catalogue.admit(principal.tenant, parsed, self._log.partitions)
        return as_lines_sent(admitted, parsed) if delivery.logs else admitted

    def _settle(self, handed: _Handed, appended: Appended | None) -> Receipt:
        receipt = handed.receipt
        if appended is not None and appended.repeated:
            receipt = repeated_receipt(appended.answer)
        told = told_by(receipt)
        self._meters.add(INGEST_LINES, told.received, outcome="received")
        if receipt.repeated:
            self._meters.add(INGEST_LINES, told.received, outcome="repeated")
            return receipt
        self._meters.add(INGEST_LINES, told.accepted, outcome="accepted")
        self._meters.add(INGEST_LINES, told.rejected, outcome="rejected")
        self._meters.add(INGEST_DEAD_LETTERS_LEFT_OUT, told.dead_letters_left_out)
        for code, count in Counter(error.code.value for error in handed.errors).items():
            self._meters.add(INGEST_REJECTED, count, code=code)
        return receipt


def _producer(principal: Principal, delivery: Delivery) -> str:
    """The producer within its credential, so that nobody hears another's answers; "" = not idempotent."""
    producer, sequence = delivery.producer, delivery.sequence
    if bool(producer) != bool(sequence):
        raise InvalidInputError("Send producer and sequence together, or neither.", field="Tocsin-Sequence")
    if max(len(producer), len(sequence)) > NAME_CHARACTERS_MAX:
        raise InvalidInputError(f"At most {NAME_CHARACTERS_MAX} characters.", field="Tocsin-Producer")
    return f"{principal.key_id}/{producer}" if producer else ""


def _dead_letters(
    sender: Principal, arrival_ms: int, source: str, errors: Sequence[LineError]
) -> list[DeadLetter]:
    return [
        DeadLetter(
            sender.tenant,
            arrival_ms,
            source,
            error.line,
            error.code,
            error.field,
            error.detail,
            error.body,
            form=error.form,
            sender=sender.key_id,
        )
        for error in errors
    ]
