"""The audit log: append-only rows in SQLite, each tied to all before it by a hash."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin import threads
from tocsin.access.audit_entry import AuditEntry, Outcome, StoredEntry, chain_hash, clipped
from tocsin.clock import Clock
from tocsin.errors import CorruptError, StorageUnavailableError, TocsinError
from tocsin.observability.logging import get_logger
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.writer import Writer

_log: Final = get_logger("audit")
_SCRIPTS: Final = load_scripts("tocsin.access", "audit")
_QUERIES: Final = _SCRIPTS.queries
_DAY_MS: Final = 86_400_000
_PRUNE_EVERY: Final = 1000
_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """How the chain was found: `entries` checked, `broken_at` the first that does not fit, None = intact.

    `head` is the hash of the newest entry: kept elsewhere, it also shows a log that was cut at its end.
    """

    entries: int
    broken_at: int | None
    head: str


class AuditLog:
    """Thread-safe. Entries wait in a bounded queue and are written together by a thread of their own.

    So a flood of refused requests costs one sync a group and never holds up a request. When the queue is
    full, entries are dropped and an entry says how many. `flush` waits until everything is durable; what
    administrators do is flushed before it is answered.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        retention_days: int = 400,
        rows_max: int = 1_000_000,
        queue_max: int = 10_000,
        vfs: str | None = None,
    ) -> None:
        tuning = Tuning(vfs=vfs)
        self._clock = clock
        self._retention_ms = retention_days * _DAY_MS
        self._rows_max = rows_max
        self._queue_max = queue_max
        self._writer = Writer(path, _SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        self._queue: deque[AuditEntry] = deque()
        self._dropped = 0
        self._recorded = 0
        self._written = 0
        self._since_prune = _PRUNE_EVERY
        self._failure: Exception | None = None
        self._failures = 0
        self._hurried = False
        self._ended = False
        self._closing = threads.event()
        self._changed = threads.condition()
        self._thread = threads.start("audit", self._run)

    def record(self, entry: AuditEntry) -> None:
        """Queue an entry; does not block."""
        with self._changed:
            if len(self._queue) >= self._queue_max:
                self._dropped += 1
                return
            self._queue.append(clipped(entry))
            self._recorded += 1
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything recorded so far is durable; raises what kept it from being written.

        A failure from before the call does not count: what waits is tried again at once.
        """
        with self._changed:
            wanted, failures = self._recorded, self._failures
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._written >= wanted or self._failures > failures or self._ended
            )
            if self._written < wanted:
                raise self._failure or StorageUnavailableError("the audit log is closed")

    def entries(
        self, tenant: str, *, nobodys: bool = False, before: int | None = None, limit: int = 100
    ) -> list[StoredEntry]:
        """Entries of a tenant, newest first, with sequences below `before`; `nobodys`: also those without
        a tenant, such as of requests without a credential.
        """
        also = "" if nobodys else tenant
        before = 1 << 62 if before is None else before
        wanted = {"tenant": tenant, "also": also, "before": before, "limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES["list"], wanted).fetchall()
        return [_stored(row) for row in rows]

    def verify(self) -> AuditCheck:
        """Reckon the chain again from its first entry; reads everything, so not for every request."""
        with self._readers.lend() as reader, reader:
            anchor: Any = reader.execute(_QUERIES["anchor"]).fetchone()
            sequence, chain = anchor
            checked = 0
            rows: Any = reader.execute(_QUERIES["walk"])
            for row in rows:
                try:
                    stored = _stored(row)
                except CorruptError:
                    return AuditCheck(checked, row[0], chain.hex())
                expected = chain_hash(chain, sequence + 1, stored.entry)
                if stored.sequence != sequence + 1 or row[-1] != expected:
                    return AuditCheck(checked, stored.sequence, chain.hex())
                sequence, chain = stored.sequence, expected
                checked += 1
        return AuditCheck(checked, None, chain.hex())

    def close(self) -> None:
        """Write what is queued and close; what can't be written is lost, and logged as such. Idempotent."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join()
        if self._queue:
            _log.error("audit_entries_lost", entries=len(self._queue))
        self._readers.close()
        self._writer.close()

    def _run(self) -> None:
        try:
            self._write_until_closed()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _write_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing.is_set())
                group, dropped = list(self._queue), self._dropped
                if not group:
                    return
                self._queue.clear()
                self._dropped = 0
                self._hurried = False
            self._write_group(group, dropped)
            if self._failure is not None and self._closes_before_retry():
                return

    def _closes_before_retry(self) -> bool:
        """Wait until the next attempt is due, or one is asked for; True if the log closes instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._hurried or self._closing.is_set(), _RETRY_S)
            return self._closing.is_set()

    def _write_group(self, group: list[AuditEntry], dropped: int) -> None:
        failure: Exception | None = None
        written = [*group, self._loss(dropped)] if dropped else group
        try:
            self._append(written)
        except (TocsinError, apsw.Error) as error:
            failure = error
            _log.warning("audit_not_written", entries=len(group), reason=str(error))
        with self._changed:
            self._failure = failure
            if failure is None:
                self._written += len(group)
            else:
                self._failures += 1
                self._take_back(group, dropped)
            self._changed.notify_all()

    def _take_back(self, group: list[AuditEntry], dropped: int) -> None:
        """Keep what could not be written, as far as there is room; the rest counts as dropped."""
        room = max(self._queue_max - len(self._queue), 0)
        kept = group[:room]
        self._queue.extendleft(reversed(kept))
        lost = len(group) - len(kept)
        self._recorded -= lost
        self._dropped += dropped + lost

    def _loss(self, dropped: int) -> AuditEntry:
        return AuditEntry(
            tenant="",
            at_ms=self._clock.now_ms(),
            actor="tocsin",
            action="audit.drop",
            object=f"{dropped} entries",
            outcome=Outcome.FAILED,
            detail="more was to be recorded than could be written",
        )

    def _append(self, group: Sequence[AuditEntry]) -> None:
        with self._writer.transaction() as writer:
            sequence, chain = _end(writer)
            for entry in group:
                sequence += 1
                chain = chain_hash(chain, sequence, entry)
                values = msgspec.structs.asdict(entry) | {"sequence": sequence, "chain": chain}
                writer.execute(_QUERIES["add"], values)
            self._since_prune += len(group)
            if self._since_prune >= _PRUNE_EVERY:
                self._since_prune = 0
                self._prune(writer, sequence)

    def _prune(self, writer: apsw.Connection, last: int) -> None:
        """Remove what is too old or too much from the beginning; the chain goes on from the anchor."""
        from_ms = self._clock.now_ms() - self._retention_ms
        young: Any = writer.execute(_QUERIES["oldest_young_enough"], {"from_ms": from_ms}).fetchone()
        through = max((young[0] if young else last) - 1, last - self._rows_max)
        row: Any = writer.execute(_QUERIES["chain_of"], {"sequence": through}).fetchone()
        if row:
            writer.execute(_QUERIES["set_anchor"], {"sequence": through, "chain": row[0]})
            writer.execute(_QUERIES["drop_through"], {"sequence": through})


def _end(writer: apsw.Connection) -> tuple[int, bytes]:
    row: Any = writer.execute(_QUERIES["last"]).fetchone() or writer.execute(_QUERIES["anchor"]).fetchone()
    return row[0], row[1]


def _stored(row: tuple[Any, ...]) -> StoredEntry:
    values = dict(zip(AuditEntry.__struct_fields__, row[1:-1], strict=True))
    try:
        entry = msgspec.convert(values, AuditEntry)
    except msgspec.ValidationError as error:
        raise CorruptError(f"audit.db: entry {row[0]} is damaged: {error}") from error
    return StoredEntry(sequence=row[0], entry=entry, chain=row[-1].hex())
