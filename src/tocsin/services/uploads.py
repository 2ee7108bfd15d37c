"""Takes dumps in over as many requests as it takes: what came and was synced stays, whatever breaks off.

An upload is named by what it is to become, (device, sequence, SHA-256), so whoever has lost its address or
the last answer announces the same again and hears how far it had come.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

import msgspec

from tocsin import threads
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.blobs.abstract import BlobStore, DigestMismatchError, StagedUpload
from tocsin.clock import Clock
from tocsin.errors import (
    ConflictError,
    CorruptError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    TocsinError,
    TooLargeError,
)
from tocsin.observability.logging import get_logger
from tocsin.services.dump_claims import Kept, logged_claim
from tocsin.services.dumps import Announced, Dumps, check_announced, gathered

SYNC_BYTES: Final = 32 << 20
_OPEN_MAX: Final = 64
_RETRY_S: Final = 3600.0
_EXPIRY_MARGIN_MS: Final = 2 * 3_600_000  # no request lasts longer than a dump may take

_log: Final = get_logger("uploads")


class OffsetError(TocsinError):
    """The piece does not begin where the upload ends."""

    code = "offset_mismatch"
    status = 409


class SupersededError(TocsinError):
    """Another request goes on with the upload; what this one brought before that was kept."""

    code = "superseded"
    status = 409


class ChecksumError(TocsinError):
    """The piece is not what its checksum says; nothing of it was kept: send it again."""

    code = "checksum_mismatch"
    status = 460  # the number that tus gave it


class _EndedError(Exception):
    """The upload came to its end while a request waited for its turn: it is complete, or forgotten."""


class Checksum(Protocol):
    """Hashes a piece while it comes."""

    def update(self, piece: bytes, /) -> object:
        """Go on with it."""
        ...

    def matches(self) -> bool:
        """Whether all that came is what was announced."""
        ...


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload has come. `kept` once it is decided; `until_ms` is when an unfinished one goes."""

    offset: int
    length: int
    until_ms: int | None = None
    kept: Kept | None = None
    repeated: bool = False


class _Note(msgspec.Struct, frozen=True):
    """What is stored beside the bytes."""

    tenant: str
    announced: Announced
    length: int
    until_ms: int


@dataclass(slots=True)
class _Open:
    """An upload in hand; whoever comes newest takes it over from who was before."""

    name: str
    note: _Note
    staged: StagedUpload
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    superseded: asyncio.Future[None] | None = None
    forgotten: bool = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[asyncio.Future[None]]:
        """Have it alone; the future is done when another request wants it. _EndedError if it is no more."""
        if self.superseded is not None and not self.superseded.done():
            self.superseded.set_result(None)  # most often it is a connection that is dead already
        self.superseded = own = asyncio.get_running_loop().create_future()
        async with self.lock:
            if self.forgotten:
                raise _EndedError
            yield own


class Uploads:
    """Used by one event loop, which is never blocked; `expire` is for another thread.

    At most `per_device_max` unfinished uploads a device, each kept for `keep_s` after it was announced.
    """

    def __init__(
        self,
        dumps: Dumps,
        blobs: BlobStore,
        clock: Clock,
        *,
        bytes_max: int = 1 << 30,
        keep_s: float = 7 * 86_400,
        per_device_max: int = 64,
    ) -> None:
        self._dumps = dumps
        self._blobs = blobs
        self._clock = clock
        self._bytes_max = bytes_max
        self._keep_ms = round(keep_s * 1000)
        self._per_device_max = per_device_max
        decode = msgspec.json.Decoder(_Note).decode
        self._notes = {name: decode(note) for name, note in blobs.notes().items()}
        self._by_device = Counter(_owner(note) for note in self._notes.values())
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._held: Counter[str] = Counter()  # by requests: nobody closes or sweeps them meanwhile
        self._swept = ""
        self._sweeping = threads.lock()
        self._lock = threads.lock()
        self._doors = WeakValueDictionary[str, asyncio.Lock]()

    def bytes_max(self, principal: Principal) -> int:
        """The largest dump that may be announced."""
        require(principal, Permission.INGEST)
        return self._bytes_max

    async def announce(
        self,
        principal: Principal,
        announced: Announced,
        length: int,
        pieces: AsyncIterator[bytes] | None = None,
    ) -> UploadState:
        """Begin an upload, or go on with the one there is; `pieces` are taken if nothing had come before."""
        check_announced(principal, announced)
        if length > self._bytes_max:
            raise TooLargeError(f"A dump has at most {self._bytes_max} bytes.")
        if length < 1:
            raise InvalidInputError("An archive has at least a byte.", field="Upload-Length")
        if (kept := await self._dumps.run(self._dumps.settled, principal.tenant, announced)) is not None:
            return _settled(kept)
        name = _name(principal.tenant, announced)
        async with self._holding(name):
            async with self._door(name):
                upload = await self._begin(name, principal.tenant, announced, length)
            if upload.note.length != length:
                raise ConflictError(
                    f"This dump was announced with {upload.note.length} bytes.", field="Upload-Length"
                )
            if pieces is not None and upload.staged.size == 0:
                return await self._append(upload, 0, pieces, None)
            return await self._state(upload)

    async def state(self, principal: Principal, announced: Announced) -> UploadState:
        """How far it has come; NotFoundError if there is no such upload."""
        async with self._holding(_name(principal.tenant, announced)):
            found = await self._find(principal, announced)
            return found if isinstance(found, UploadState) else await self._state(found)

    async def append(
        self,
        principal: Principal,
        announced: Announced,
        offset: int,
        pieces: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> UploadState:
        """Add what comes. When it breaks off, what came stays, unless its checksum could not be compared.

        With the last byte the dump is decided about, as by `Dumps.receive`. OffsetError names the offset to
        go on at; DigestMismatchError means to begin anew.
        """
        async with self._holding(_name(principal.tenant, announced)):
            found = await self._find(principal, announced)
            if isinstance(found, _Open):
                return await self._append(found, offset, pieces, checksum)
            return _nothing_at(offset, found)

    async def terminate(self, principal: Principal, announced: Announced) -> None:
        """Forget an unfinished upload; NotFoundError if there is none."""
        async with self._holding(_name(principal.tenant, announced)):
            found = await self._find(principal, announced)
            if isinstance(found, _Open):
                try:
                    async with found.turn():
                        await self._dumps.run(self._forget, found.name)
                        return
                except _EndedError:
                    await self._ended(found)
        raise ConflictError("The dump is complete, and kept.")

    def expire(self) -> None:
        """Forget uploads that were not finished in time and that no request has; blocks."""
        now_ms = self._clock.now_ms()
        for name, note in list(self._notes.items()):
            if note.until_ms + _EXPIRY_MARGIN_MS <= now_ms:
                self._sweep(name)

    def _sweep(self, name: str) -> None:
        """Forget it unless a request has it; one that comes meanwhile waits."""
        with self._sweeping:
            with self._lock:
                if name in self._held:
                    return
                self._swept = name
            try:
                self._forget(name)
            finally:
                self._swept = ""

    @asynccontextmanager
    async def _holding(self, name: str) -> AsyncIterator[None]:
        """Keep it from the sweep; where that is about to take it, first wait for the end of that."""
        while not self._hold(name):
            await self._dumps.run(self._wait_for_sweep)
        try:
            yield
        finally:
            self._release(name)

    def _hold(self, name: str) -> bool:
        with self._lock:
            if name == self._swept:
                return False
            self._held[name] += 1
            return True

    def _release(self, name: str) -> None:
        with self._lock:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]

    def _wait_for_sweep(self) -> None:
        with self._sweeping:
            pass

    def close(self) -> None:
        """Let go of all uploads; idempotent."""
        for upload in self._open.values():
            upload.staged.close()
        self._open.clear()

    def _door(self, name: str) -> asyncio.Lock:
        """To be held by whoever may open an upload: opening one anew cuts off what another has not synced."""
        return self._doors.setdefault(name, asyncio.Lock())

    async def _begin(self, name: str, tenant: str, announced: Announced, length: int) -> _Open:
        """The upload there is, or a new one; within its door."""
        if (upload := await self._take_up(name)) is not None:
            return upload
        note = _Note(tenant, announced, length, self._clock.now_ms() + self._keep_ms)
        with self._lock:
            if self._by_device[_owner(note)] >= self._per_device_max:
                raise RateLimitedError(
                    f"This device has {self._per_device_max} unfinished uploads: finish or end them.",
                    retry_after_s=_RETRY_S,
                )
            if self._notes.setdefault(name, note) is note:
                self._by_device[_owner(note)] += 1
        await self._dumps.run(self._stage, name, note)
        upload = await self._take_up(name)
        if upload is None:
            raise NotFoundError("The upload was ended meanwhile.")
        return upload

    def _stage(self, name: str, note: _Note) -> None:
        try:
            self._blobs.stage(name, msgspec.json.encode(note)).close()
        except TocsinError:
            self._forget(name)
            raise

    async def _find(self, principal: Principal, announced: Announced) -> _Open | UploadState:
        check_announced(principal, announced)
        name = _name(principal.tenant, announced)
        async with self._door(name):
            upload = await self._take_up(name)
        if upload is not None:
            return upload
        kept = await self._dumps.run(self._dumps.settled, principal.tenant, announced)
        if kept is None:
            raise NotFoundError("There is no such upload: announce it again.")
        return _settled(kept)

    async def _take_up(self, name: str) -> _Open | None:
        """The upload in hand, None if there is none or its time is up; within its door."""
        note = self._notes.get(name)
        if note is None:
            return None
        if self._is_over(note):
            await self._end(name)
            return None
        if name not in self._open:
            staged = await self._dumps.run(self._reopen, name)
            if staged is None:
                return None
            self._open[name] = _Open(name, note, staged)
            self._let_go()
        self._open.move_to_end(name)
        return self._open[name]

    def _is_over(self, note: _Note) -> bool:
        return note.until_ms <= self._clock.now_ms()

    async def _end(self, name: str) -> None:
        """Forget an upload whose time is up, after the request that still has it; that one is ended."""
        if (upload := self._open.get(name)) is None:
            await self._dumps.run(self._forget, name)
            return
        with suppress(_EndedError):
            async with upload.turn():
                await self._dumps.run(self._forget, name)

    def _reopen(self, name: str) -> StagedUpload | None:
        """A damaged one is given up: its sender begins anew, nothing was acknowledged for good."""
        try:
            return self._blobs.staged(name)
        except CorruptError as error:
            _log.warning("upload_damaged", error=error.detail)
            self._forget(name)
            return None

    def _let_go(self) -> None:
        """Close those that nobody has used for longest; taking one up again hashes what it has."""
        for name in list(self._open)[: max(0, len(self._open) - _OPEN_MAX)]:
            if name not in self._held:
                self._open.pop(name).staged.close()

    def _forget(self, name: str) -> None:
        upload = self._open.get(name)
        if upload is not None:
            upload.forgotten = True
            upload.staged.close()
        try:
            self._blobs.unstage(name)
            with self._lock:
                note = self._notes.pop(name, None)
                if note is not None:
                    self._by_device[_owner(note)] -= 1
        finally:
            self._open.pop(name, None)  # last: whoever comes meanwhile waits, and does not open it once more

    async def _state(self, upload: _Open) -> UploadState:
        try:
            async with upload.turn():
                await self._dumps.run(upload.staged.sync)
                return await self._reached(upload)
        except _EndedError:
            return await self._ended(upload)

    async def _ended(self, upload: _Open) -> UploadState:
        """What became of an upload that came to its end meanwhile; NotFoundError if it was forgotten."""
        note = upload.note
        kept = await self._dumps.run(self._dumps.settled, note.tenant, note.announced)
        if kept is None:
            raise NotFoundError("The upload has ended meanwhile: announce it again.")
        return _settled(kept)

    async def _append(
        self, upload: _Open, offset: int, pieces: AsyncIterator[bytes], checksum: Checksum | None
    ) -> UploadState:
        with self._dumps.place():
            try:
                async with upload.turn() as superseded:
                    return await self._taken(upload, offset, _until(superseded, pieces), checksum)
            except _EndedError:
                return _nothing_at(offset, await self._ended(upload))

    async def _taken(
        self, upload: _Open, offset: int, pieces: AsyncIterator[bytes], checksum: Checksum | None
    ) -> UploadState:
        if offset != upload.staged.size:
            raise _misplaced(offset, upload.staged.size)
        try:
            await self._fill(upload, gathered(pieces), checksum)
        except BaseException as error:
            await self._dumps.run(upload.staged.revert if checksum else upload.staged.sync)
            if isinstance(error, SupersededError) and self._is_over(upload.note):
                raise NotFoundError("The upload's time is up: announce it again.") from error
            raise
        await self._dumps.run(upload.staged.sync)
        return await self._reached(upload)

    async def _fill(self, upload: _Open, pieces: AsyncIterator[bytes], checksum: Checksum | None) -> None:
        staged, synced = upload.staged, upload.staged.size
        async for piece in pieces:
            if staged.size + len(piece) > upload.note.length:
                raise TooLargeError(f"More came than the {upload.note.length} bytes that were announced.")
            await self._dumps.run(staged.write, piece)
            if checksum is not None:
                checksum.update(piece)
            elif staged.size - synced >= SYNC_BYTES:
                await self._dumps.run(staged.sync)
                synced = staged.size
        if checksum is not None and not checksum.matches():
            raise ChecksumError("The piece was altered on the way: send it again.")

    async def _reached(self, upload: _Open) -> UploadState:
        """Where the upload stands now; decides about it when it is whole."""
        size, length = upload.staged.size, upload.note.length
        if size < length:
            return UploadState(size, length, upload.note.until_ms)
        return await self._dumps.run(self._complete, upload)

    def _complete(self, upload: _Open) -> UploadState:
        try:
            blob = upload.staged.finish(upload.note.announced.sha256)
        except DigestMismatchError:
            self._forget(upload.name)
            raise
        receipt = self._dumps.settle(upload.note.tenant, upload.note.announced, blob)
        self._forget(upload.name)
        return UploadState(blob.size_bytes, blob.size_bytes, kept=receipt.kept, repeated=receipt.repeated)


def _name(tenant: str, announced: Announced) -> str:
    return logged_claim(tenant, announced.id, announced.sha256)


def _owner(note: _Note) -> tuple[str, str]:
    return note.tenant, note.announced.device


def _settled(kept: Kept) -> UploadState:
    return UploadState(kept.size_bytes, kept.size_bytes, kept=kept, repeated=True)


def _nothing_at(offset: int, complete: UploadState) -> UploadState:
    """The answer to a piece for a complete upload: there is nothing to add, so it begins at the end."""
    if offset != complete.offset:
        raise _misplaced(offset, complete.offset)
    return complete


def _misplaced(offset: int, reached: int) -> OffsetError:
    return OffsetError(f"The piece begins at {offset}, the upload has {reached}.", field="Upload-Offset")


async def _until(superseded: asyncio.Future[None], pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, until another request takes the upload over."""
    while True:
        coming = asyncio.ensure_future(anext(pieces, None))
        both: set[asyncio.Future[Any]] = {superseded, coming}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
            raise SupersededError("Another request goes on with this upload.")
        if (piece := coming.result()) is None:
            return
        yield piece
