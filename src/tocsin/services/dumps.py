"""Takes a dump in: stream, hash, store, prove, claim its sequence, log; nothing is answered before that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Final, ParamSpec, TypeVar

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.blobs.abstract import BlobRef, BlobStore, Upload
from tocsin.clock import Clock
from tocsin.control import DumpOutcome, DumpReceived, LineSpan, encode_control
from tocsin.dumps.archive import Archive
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.errors import BackpressureError, CorruptError, ForbiddenError, InvalidInputError
from tocsin.events import Strings
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import DUMP_BYTES, DUMPS
from tocsin.services.dump_claims import DumpId, Kept, logged_claim, sequence_claim
from tocsin.services.finishing import finished
from tocsin.services.ingest import NAME_CHARACTERS_MAX
from tocsin.sharding import partition_of, shard_of
from tocsin.threads import Future, pool, semaphore

WRITE_BYTES: Final = 1 << 20
SEQUENCE_MAX: Final = 1 << 53
_DETAIL_CHARACTERS_MAX: Final = 4096
_PRODUCER: Final = "dump"  # those of events hold a slash

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of a dump. `sha256` is 64 hex digits in lower case.

    `lines` is set where Tocsin cut it from the log lines of a device.
    """

    device: str
    sequence: int
    sha256: str
    application: str = ""
    version: str = ""
    collected_from_ms: int | None = None
    collected_to_ms: int | None = None
    epoch: int = 0
    lines: LineSpan | None = None

    @property
    def id(self) -> DumpId:
        """Which dump it is, whatever its body."""
        return DumpId(device=self.device, sequence=self.sequence, epoch=self.epoch)


@dataclass(frozen=True, slots=True)
class DumpReceipt:
    """`kept` is durable and in the log; `repeated` if it was before."""

    kept: Kept
    repeated: bool


class Dumps:
    """At most `uploads_max` at a time, each with WRITE_BYTES in memory; above that refuses at once.

    A dump keeps its place until all work on it has ended, also when its sender has gone. `require_settings`
    has a tenant's settings logged or raises: it is asked before each dump is.
    """

    def __init__(
        self,
        *,
        log: Log,
        blobs: BlobStore,
        clock: Clock,
        meters: Meters,
        limits: ArchiveLimits,
        threads: int = 2,
        uploads_max: int = 16,
        require_settings: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._clock = clock
        self._meters = meters
        self._limits = limits
        self._require_settings = require_settings
        self._places = semaphore(uploads_max)
        self.uploads = 0
        """On their way now; changed by the event loop alone."""
        self._pool = pool(threads, "dumps")

    async def receive(
        self, principal: Principal, announced: Announced, pieces: AsyncIterator[bytes]
    ) -> DumpReceipt:
        """What to tell the sender once the dump is durable, proved and logged.

        The event loop is never blocked. DigestMismatchError keeps nothing. A conflict is kept, and is an
        answer like a bad archive: see `outcome`.
        """
        check_announced(principal, announced)
        with self.place():
            begun = self._submit(self._blobs.begin)
            try:
                upload = await finished(begun)
                async for piece in gathered(pieces):
                    await self.run(upload.write, piece)
            except BaseException:
                await self.run(_discard, begun)
                raise
            return await self.run(self._finish, principal, announced, upload)

    def close(self) -> None:
        """Let the threads end; idempotent. Log and blobs are not closed."""
        self._pool.shutdown()

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places of those on their way; BackpressureError if there is none."""
        if not self._places.acquire(blocking=False):
            raise BackpressureError("Too many dumps are on their way.", retry_after_s=1)
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1
            self._places.release()

    async def run(
        self, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs
    ) -> _Result:
        """Do what blocks on one of the threads for dumps; who is cancelled ends when that has ended."""
        return await finished(self._submit(work, *given, **named))

    def _submit(
        self, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs
    ) -> Future[_Result]:
        context = copy_context()  # the trace goes along
        return self._pool.submit(context.run, partial(work, *given, **named))

    def _finish(self, principal: Principal, announced: Announced, upload: Upload) -> DumpReceipt:
        try:
            blob = upload.finish(announced.sha256)
        finally:
            upload.discard()
        return self.settle(principal.tenant, announced, blob)

    def settle(self, tenant: str, announced: Announced, blob: BlobRef) -> DumpReceipt:
        """Decide about a dump whose bytes are durable, and log that; the same again if it was. Blocks."""
        name = sequence_claim(tenant, announced.id)
        first = self._blobs.claimed(name)
        if first is None:
            first = self._blobs.claim(name, msgspec.json.encode(self._prove(blob)))
        kept = _told(msgspec.json.decode(first, type=Kept), blob)
        receipt = DumpReceipt(kept, self._log_once(tenant, announced, kept))
        self._meters.add(DUMPS, 1, outcome="duplicate" if receipt.repeated else kept.outcome.value)
        self._meters.record(DUMP_BYTES, kept.size_bytes)
        return receipt

    def settled(self, tenant: str, announced: Announced) -> Kept | None:
        """What was decided about this body of the sequence, None unless it is in the log. Blocks."""
        mark = logged_claim(tenant, announced.id, announced.sha256)
        if self._blobs.claimed(mark) is None:
            return None
        first = self._blobs.claimed(sequence_claim(tenant, announced.id))
        if first is None:
            raise CorruptError(f"{mark} is in the log, but nothing has claimed its sequence")
        with self._blobs.open(announced.sha256) as blob:
            return _told(msgspec.json.decode(first, type=Kept), BlobRef(announced.sha256, blob.size))

    def _prove(self, blob: BlobRef) -> Kept:
        try:
            with self._blobs.open(blob.sha256) as opened:
                contents = Archive(opened, self._limits).prove()
        except ArchiveError as error:
            return Kept(
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                outcome=DumpOutcome.QUARANTINED,
                code=error.code,
                detail=error.detail[:_DETAIL_CHARACTERS_MAX],
            )
        return Kept(
            sha256=blob.sha256,
            size_bytes=blob.size_bytes,
            outcome=DumpOutcome.ACCEPTED,
            members=contents.members,
            unpacked_bytes=contents.bytes,
        )

    def _log_once(self, tenant: str, announced: Announced, kept: Kept) -> bool:
        """Log the dump unless it has been; whether it had been.

        A claimed sequence alone does not say so: its process may have been killed before it logged. A mark
        does; where it is missing, the log itself knows for a day.
        """
        mark = logged_claim(tenant, announced.id, kept.sha256)
        if self._blobs.claimed(mark) is not None:
            return True
        self._require_settings(tenant)  # without them no detector would be shown the dump, then or later
        repeated = self._append(tenant, announced, kept)
        self._blobs.claim(mark, b"logged")
        return repeated

    def _append(self, tenant: str, announced: Announced, kept: Kept) -> bool:
        arrival_ms = self._clock.now_ms()
        record = DumpReceived(
            tenant=tenant,
            device=announced.device,
            sequence=announced.sequence,
            sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            outcome=kept.outcome,
            code=kept.code,
            detail=kept.detail,
            application=announced.application,
            version=announced.version,
            collected_from_ms=announced.collected_from_ms,
            collected_to_ms=announced.collected_to_ms,
            epoch=announced.epoch,
            received_ms=arrival_ms,
            lines=announced.lines,
        )
        partition = partition_of(shard_of(tenant, announced.device), self._log.partitions)
        append = Append(
            tenant=tenant,
            arrival_ms=arrival_ms,
            parts=(Part(partition, RecordKind.CONTROL, 1, encode_control(record)),),
            producer=_PRODUCER,
            sequence=_sequence_of(announced.id, kept.sha256),
            fingerprint=bytes.fromhex(kept.sha256)[:16],
        )
        return self._log.submit(append).result().repeated


def _sequence_of(dump: DumpId, sha256: str) -> str:
    """By which the log knows the dump again for a day."""
    name = f"{dump.device}/{dump.sequence}/{sha256}"
    return f"{name}/{dump.epoch}" if dump.epoch else name


def _discard(begun: Future[Upload]) -> None:
    if begun.exception() is None:
        begun.result().discard()


async def gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in large pieces: a change of thread for each small one costs more than writing it.

    When they break off, what came before is given before the error.
    """
    waiting: list[bytes] = []
    size = 0
    try:
        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= WRITE_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    except Exception:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


def _told(first: Kept, blob: BlobRef) -> Kept:
    """What this body's sender is told, when `first` is about the first body of its sequence."""
    if first.sha256 == blob.sha256:
        return first
    return Kept(
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        outcome=DumpOutcome.CONFLICT,
        code="dump_conflict",
        detail="Another body came before with this sequence; it stays the valid one, both are kept.",
    )


def check_announced(principal: Principal, announced: Announced) -> None:
    """Refuse what this credential may not send, and what can't be a dump."""
    require(principal, Permission.INGEST)
    if not principal.may_speak_for(Strings.of([announced.device])).all():
        raise ForbiddenError("This credential may not speak for this device.", field="device")
    for field in ("device", "application", "version"):
        if len(getattr(announced, field)) > NAME_CHARACTERS_MAX:
            raise InvalidInputError(f"At most {NAME_CHARACTERS_MAX} characters.", field=field)
    if not 0 <= announced.epoch <= SEQUENCE_MAX:
        raise InvalidInputError("Epochs are numbered from 0.", field="epoch")
    if not 1 <= announced.sequence <= SEQUENCE_MAX:
        raise InvalidInputError("Dumps of a device are numbered from 1.", field="sequence")
