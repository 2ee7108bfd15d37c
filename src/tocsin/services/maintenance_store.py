"""Maintenance windows in SQLite, one file: what people asked for, beside the log that says what holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin.errors import ConflictError, NotFoundError, PreconditionFailedError
from tocsin.services.maintenance_window import Changes, MaintenanceWindow, changed
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import verify_rows
from tocsin.storage.writer import Writer

LAST: Final = (1 << 63) - 1
_SCRIPTS: Final = load_scripts("tocsin.services", "maintenance")
_QUERIES: Final = _SCRIPTS.queries
_NO_WINDOW: Final = "There is no such maintenance window."


class MaintenanceStore:
    """Thread-safe. Durable on return."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(path, _SCRIPTS, Tuning())
        self._readers = Readers(path, Tuning())

    def add(self, window: MaintenanceWindow) -> tuple[MaintenanceWindow, bool]:
        """Keep a new window; the one that was kept under its key before, and True, where there is one.

        ConflictError where that one is about something else.
        """
        with self._writer.transaction() as writer:
            wanted = {"tenant": window.tenant, "actor": window.actor, "key": window.key}
            row: Any = writer.execute(_QUERIES["of_key"], wanted).fetchone()
            if row is None:
                values = wanted | {"id": window.id, "settled": 0, "body": _body(window)}
                writer.execute(_QUERIES["add"], values)
                return self._required(writer, window.tenant, window.id), False
        known = _read(row)
        if (known.asked or known.wanted) != window.wanted:
            raise ConflictError(
                "This Idempotency-Key came with another window before.", field="Idempotency-Key"
            )
        return known, True

    def end(
        self, tenant: str, window_id: str, *, revision: int | None, at_ms: int, actor: str
    ) -> MaintenanceWindow:
        """End a window; one that was ended before is left as it is.

        PreconditionFailedError if it has another revision, ConflictError if its time is over.
        """
        with self._writer.transaction() as writer:
            known = self._required(writer, tenant, window_id)
            if known.ended_ms is not None:
                return known
            _require_revision(known, revision)
            if known.is_over(at_ms):
                raise ConflictError("This window is over already.")
            ended = msgspec.structs.replace(
                known, ended_ms=at_ms, ended_by=actor, revision=known.revision + 1
            )
            self._put(writer, ended, settled=False)
        return ended

    def change(
        self, tenant: str, window_id: str, changes: Changes, *, revision: int | None, at_ms: int
    ) -> MaintenanceWindow:
        """Have a window otherwise; one that is so already is left as it is.

        PreconditionFailedError if it has another revision, ConflictError if it was ended or its time is over.
        """
        with self._writer.transaction() as writer:
            known = self._required(writer, tenant, window_id)
            if known.is_over(at_ms):
                raise ConflictError("This window is over already: begin another one.")
            wanted = changed(known.wanted, changes, at_ms)
            if wanted == known.wanted:
                return known
            _require_revision(known, revision)
            told = msgspec.structs.replace(
                known, wanted=wanted, asked=known.asked or known.wanted, revision=known.revision + 1
            )
            self._put(writer, told, settled=False)
        return told

    def logged(self, window: MaintenanceWindow, *, settled: bool) -> MaintenanceWindow:
        """Note what the log has of a window; what people changed meanwhile stays, and is then not settled."""
        with self._writer.transaction() as writer:
            known = self._required(writer, window.tenant, window.id)
            noted = msgspec.structs.replace(
                known,
                logged=window.logged,
                logged_until_ms=window.logged_until_ms,
                looked_ms=window.looked_ms,
                members=window.members,
            )
            self._put(writer, noted, settled=settled and noted.revision == noted.logged)
        return noted

    def one(self, tenant: str, window_id: str) -> MaintenanceWindow:
        """One window; NotFoundError if the tenant has none of this id."""
        with self._readers.lend() as reader:
            return self._required(reader, tenant, window_id)

    def of_key(self, tenant: str, actor: str, key: str) -> MaintenanceWindow | None:
        """The window that somebody made under a key; none under an empty one."""
        found = self._all("of_key", tenant=tenant, actor=actor, key=key)
        return found[0] if found else None

    def page(self, tenant: str, *, before: int, limit: int) -> Sequence[MaintenanceWindow]:
        """Windows with a lower number, newest first."""
        return self._all("page", tenant=tenant, before=before, limit=limit)

    def unsettled(self, *, after: int, limit: int) -> Sequence[MaintenanceWindow]:
        """Windows of all tenants of which something may have to be logged, by number."""
        return self._all("unsettled", after=after, limit=limit)

    def unsettled_of(self, tenant: str, *, limit: int) -> Sequence[MaintenanceWindow]:
        """The same of one tenant; every window that is not over is among them."""
        return self._all("unsettled_of", tenant=tenant, limit=limit)

    def verify(self) -> list[str]:
        """What is wrong with the file, in words; reads all of it."""
        return verify_rows(self._readers, "maintenance.db", {"all": _checked}, _QUERIES)

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()

    def _all(self, query: str, **values: Any) -> list[MaintenanceWindow]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES[query], values).fetchall()
        return [_read(row) for row in rows]

    def _required(self, connection: apsw.Connection, tenant: str, window_id: str) -> MaintenanceWindow:
        row: Any = connection.execute(_QUERIES["one"], {"tenant": tenant, "id": window_id}).fetchone()
        if row is None:
            raise NotFoundError(_NO_WINDOW)
        return _read(row)

    def _put(self, writer: apsw.Connection, window: MaintenanceWindow, *, settled: bool) -> None:
        values = {"id": window.id, "settled": int(settled), "body": _body(window)}
        writer.execute(_QUERIES["put"], values)


def _require_revision(known: MaintenanceWindow, revision: int | None) -> None:
    if revision is not None and revision != known.revision:
        raise PreconditionFailedError(
            f"The window has changed since it was read: it has version {known.revision} now.",
            field="If-Match",
        )


def _body(window: MaintenanceWindow) -> str:
    return msgspec.json.encode(window, order="deterministic").decode()


def _checked(row: tuple[Any, ...], place: str) -> MaintenanceWindow:
    number, *_, body = check_row(row, f"{place}: window {row[1]}")
    return msgspec.structs.replace(msgspec.json.decode(body, type=MaintenanceWindow), number=number)


def _read(row: tuple[Any, ...]) -> MaintenanceWindow:
    return _checked(row, "maintenance.db")
