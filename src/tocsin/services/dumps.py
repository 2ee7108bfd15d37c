"""Takes a dump in: stream, hash, store, prove, claim its sequence, log; nothing is answered before that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.blobs.abstract import BlobRef, BlobStore, Upload
from tocsin.clock import Clock
from tocsin.control import DumpOutcome, DumpReceived, encode_control
from tocsin.dumps.archive import Archive
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.errors import BackpressureError, ForbiddenError, InvalidInputError
from tocsin.events import Strings
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import DUMP_BYTES, DUMPS
from tocsin.services.dump_claims import Kept, logged_claim, sequence_claim
from tocsin.services.ingest import NAME_CHARACTERS_MAX
from tocsin.sharding import partition_of, shard_of
from tocsin.threads import pool, semaphore

WRITE_BYTES: Final = 1 << 20
SEQUENCE_MAX: Final = 1 << 53
_DETAIL_CHARACTERS_MAX: Final = 4096
_PRODUCER: Final = "dump"  # those of events hold a slash

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of a dump. `sha256` is 64 hex digits in lower case."""

    device: str
    sequence: int
    sha256: str
    application: str = ""
    version: str = ""
    collected_from_ms: int | None = None
    collected_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DumpReceipt:
    """`kept` is durable and in the log; `repeated` if it was before."""

    kept: Kept
    repeated: bool


class Dumps:
    """At most `uploads_max` at a time, each with WRITE_BYTES in memory; above that refuses at once."""

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
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._clock = clock
        self._meters = meters
        self._limits = limits
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
        _check(principal, announced)
        with self._place():
            upload = await self._run(self._blobs.begin)
            try:
                await self._write(upload, pieces)
            except BaseException:
                self._pool.submit(upload.discard)
                raise
            finishing = self._pool.submit(self._finish, principal, announced, upload)
            # a client that goes away can't take back what is under way
            receipt = await asyncio.shield(asyncio.wrap_future(finishing))
        self._meters.add(DUMPS, 1, outcome="duplicate" if receipt.repeated else receipt.kept.outcome.value)
        self._meters.record(DUMP_BYTES, receipt.kept.size_bytes)
        return receipt

    def close(self) -> None:
        """Let the threads end; idempotent. Log and blobs are not closed."""
        self._pool.shutdown()

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise BackpressureError("Too many dumps are on their way.", retry_after_s=1)
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1
            self._places.release()

    async def _run(
        self, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs
    ) -> _Result:
        return await asyncio.wrap_future(self._pool.submit(work, *given, **named))

    async def _write(self, upload: Upload, pieces: AsyncIterator[bytes]) -> None:
        """Write in large steps: a change of thread for each small piece would cost more than writing it."""
        waiting: list[bytes] = []
        size = 0
        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= WRITE_BYTES:
                await self._run(upload.write, b"".join(waiting))
                waiting, size = [], 0
        if waiting:
            await self._run(upload.write, b"".join(waiting))

    def _finish(self, principal: Principal, announced: Announced, upload: Upload) -> DumpReceipt:
        try:
            blob = upload.finish(announced.sha256)
        finally:
            upload.discard()
        name = sequence_claim(principal.tenant, announced.device, announced.sequence)
        first = self._blobs.claimed(name)
        if first is None:
            first = self._blobs.claim(name, msgspec.json.encode(self._prove(blob)))
        kept = msgspec.json.decode(first, type=Kept)
        if kept.sha256 != blob.sha256:
            other = "Another body came before with this sequence; it stays the valid one, both are kept."
            kept = Kept(
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                outcome=DumpOutcome.CONFLICT,
                code="dump_conflict",
                detail=other,
            )
        return DumpReceipt(kept, self._log_once(principal.tenant, announced, kept))

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
        mark = logged_claim(tenant, announced.device, announced.sequence, kept.sha256)
        if self._blobs.claimed(mark) is not None:
            return True
        repeated = self._append(tenant, announced, kept)
        self._blobs.claim(mark, b"logged")
        return repeated

    def _append(self, tenant: str, announced: Announced, kept: Kept) -> bool:
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
        )
        partition = partition_of(shard_of(tenant, announced.device), self._log.partitions)
        append = Append(
            tenant=tenant,
            arrival_ms=self._clock.now_ms(),
            parts=(Part(partition, RecordKind.CONTROL, 1, encode_control(record)),),
            producer=_PRODUCER,
            sequence=f"{announced.device}/{announced.sequence}/{kept.sha256}",
            fingerprint=bytes.fromhex(kept.sha256)[:16],
        )
        return self._log.submit(append).result().repeated


def _check(principal: Principal, announced: Announced) -> None:
    require(principal, Permission.INGEST)
    if not principal.may_speak_for(Strings.of([announced.device])).all():
        raise ForbiddenError("This credential may not speak for this device.", field="device")
    for field in ("device", "application", "version"):
        if len(getattr(announced, field)) > NAME_CHARACTERS_MAX:
            raise InvalidInputError(f"At most {NAME_CHARACTERS_MAX} characters.", field=field)
    if not 1 <= announced.sequence <= SEQUENCE_MAX:
        raise InvalidInputError("Dumps of a device are numbered from 1.", field="sequence")
