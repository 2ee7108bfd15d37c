"""The inbox in SQLite, one file: what was folded, what people did, and the order in which it changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Inbox
from tocsin.inbox.acting import Acting
from tocsin.inbox.action import Action, ActionKind, Recorded, Target
from tocsin.inbox.fold_row import ACTOR, RowFolding
from tocsin.inbox.folding import Windows
from tocsin.inbox.of_devices import filters_of, newest_of
from tocsin.inbox.rows import QUERIES, SCRIPTS, anomaly_of, find, number
from tocsin.inbox.targets import recorded_of
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer


class EmbeddedInbox(Inbox):
    """Folds in one transaction with the position; readers see whole folds only."""

    def __init__(self, path: Path, windows: Windows | None = None, *, vfs: str | None = None) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._windows = windows or Windows()
        self._writer = Writer(path, SCRIPTS, tuning)
        self._readers = Readers(path, tuning, idle_max=4)

    def fold(self, rows: Sequence[OutboxRow], now_ms: int) -> Sequence[Anomaly]:
        changed: dict[str, Anomaly] = {}
        with self._writer.transaction() as writer:
            position = number(writer, "position")
            for row in rows:
                if row.sequence <= position:
                    continue
                position = row.sequence
                anomaly = RowFolding(writer, self._windows, now_ms).fold(row)
                if anomaly is not None:
                    changed[anomaly.id] = anomaly
            writer.execute(QUERIES["advance"], {"sequence": position})
        return list(changed.values())

    def act(self, action: Action) -> Recorded:
        with self._writer.transaction() as writer:
            return Acting(writer, self._name).act(action)

    def wake(self, now_ms: int, *, limit: int = 100) -> int:
        wanted = {"now_ms": now_ms, "limit": limit}
        with self._readers.lend() as reader:
            due: list[Any] = reader.execute(QUERIES["due"], wanted).fetchall()
        woken = 0
        for tenant in sorted({tenant for tenant, _ in due}):
            targets = tuple(Target(id=each) for owner, each in due if owner == tenant)
            action = Action(kind=ActionKind.WAKE, tenant=tenant, actor=ACTOR, at_ms=now_ms, targets=targets)
            woken += sum(not outcome.code for outcome in self.act(action).outcomes)
        return woken

    def action(self, tenant: str, sequence: int) -> Recorded | None:
        wanted = {"tenant": tenant, "sequence": sequence}
        with self._readers.lend() as reader:
            row: Any = reader.execute(QUERIES["action"], wanted).fetchone()
        return recorded_of(row, self._name) if row else None

    def action_of_key(self, tenant: str, actor: str, key: str) -> Recorded | None:
        wanted = {"tenant": tenant, "actor": actor, "key": key}
        with self._readers.lend() as reader:
            row: Any = reader.execute(QUERIES["action_of_key"], wanted).fetchone()
        return recorded_of(row, self._name) if row else None

    def actions(self, after: int, *, limit: int = 1000) -> list[Recorded]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(QUERIES["actions"], {"after": after, "limit": limit}).fetchall()
        return [recorded_of(row, self._name) for row in rows]

    def position(self) -> int:
        with self._readers.lend() as reader:
            return number(reader, "position")

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        wanted = filters_of(query)
        name = "page" if query.device is None else "page_of_device"
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(QUERIES[name], wanted).fetchall()
        return [anomaly_of(row) for row in rows]

    def anomalies_of(self, devices: Collection[str], query: AnomalyQuery) -> list[Anomaly]:
        with self._readers.lend() as reader:
            return newest_of(reader, devices, query)

    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly | None:
        with self._readers.lend() as reader:
            return find(reader, tenant, anomaly_id)

    def history(self, tenant: str, anomaly_id: str) -> list[Change]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(
                QUERIES["history"], {"tenant": tenant, "id": anomaly_id}
            ).fetchall()
        return [self._change(row) for row in rows]

    def history_from(self, tenant: str, anomaly_id: str, version: int, *, limit: int = 100) -> list[Change]:
        wanted = {"tenant": tenant, "id": anomaly_id, "version": version, "limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(QUERIES["history_from"], wanted).fetchall()
        return [self._change(row) for row in rows]

    def changes(self, after: int, *, tenant: str | None = None, limit: int = 1000) -> list[Change]:
        name = "changes" if tenant is None else "changes_of_tenant"
        wanted = {"after": after, "tenant": tenant, "limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(QUERIES[name], wanted).fetchall()
        return [self._change(row) for row in rows]

    def changes_of(
        self, tenant: str, devices: Collection[str], after: int, *, limit: int = 1000
    ) -> list[Change]:
        names = msgspec.json.encode(list(devices)).decode()
        wanted = {"after": after, "tenant": tenant, "devices": names, "limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(QUERIES["changes_of_devices"], wanted).fetchall()
        return [self._change(row) for row in rows]

    def _change(self, row: tuple[Any, ...]) -> Change:
        intact = check_row(row, f"{self._name}: change {row[0]}")
        return Change(**dict(zip(Change.__struct_fields__, intact, strict=True)))

    def last_change(self) -> int:
        with self._readers.lend() as reader:
            return number(reader, "last_change")

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "all_episodes": lambda row, place: check_row(row, f"{place}: episode {row[1]}"),
            "all_anomalies": lambda row, place: check_row(row, f"{place}: anomaly {row[0]}"),
            "all_actions": recorded_of,
            "all_changes": lambda row, place: check_row(row, f"{place}: change {row[0]}"),
        }
        return verify_rows(self._readers, self._name, reads, QUERIES)

    def close(self) -> None:
        self._readers.close()
        self._writer.close()
