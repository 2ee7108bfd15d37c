"""The inbox in SQLite, one file: what was folded, what people see, and the order in which it changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin.commit.abstract import OutboxRow
from tocsin.errors import CorruptError
from tocsin.inbox import folding
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Inbox
from tocsin.inbox.folding import Neighbour, Summary, Windows
from tocsin.model import Episode
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

_SCRIPTS: Final = load_scripts("tocsin.inbox", "inbox")
_QUERIES: Final = _SCRIPTS.queries
_ACTOR: Final = "tocsin"
_NEIGHBOURS_MAX: Final = 500
_LISTS: Final = ("parameters", "detectors", "episodes")


class EmbeddedInbox(Inbox):
    """Folds in one transaction with the position; readers see whole folds only."""

    def __init__(self, path: Path, windows: Windows | None = None, *, vfs: str | None = None) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._windows = windows or Windows()
        self._writer = Writer(path, _SCRIPTS, tuning)
        self._readers = Readers(path, tuning)

    def fold(self, rows: Sequence[OutboxRow], now_ms: int) -> Sequence[Anomaly]:
        changed: dict[str, Anomaly] = {}
        with self._writer.transaction() as writer:
            position = _number(writer, "position")
            for row in rows:
                if row.sequence <= position:
                    continue
                position = row.sequence
                anomaly = _Fold(writer, self._windows, now_ms).fold(row)
                if anomaly is not None:
                    changed[anomaly.id] = anomaly
            writer.execute(_QUERIES["advance"], {"sequence": position})
        return list(changed.values())

    def position(self) -> int:
        with self._readers.lend() as reader:
            return _number(reader, "position")

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        wanted = {name: getattr(query, name) for name in AnomalyQuery.__dataclass_fields__}
        wanted["before_sequence"] = (
            folding.ENDLESS_MS if query.before_sequence is None else query.before_sequence
        )
        name = "page" if query.device is None else "page_of_device"
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES[name], wanted).fetchall()
        return [_anomaly(row) for row in rows]

    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly | None:
        with self._readers.lend() as reader:
            return _find(reader, tenant, anomaly_id)

    def history(self, tenant: str, anomaly_id: str) -> list[Change]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(
                _QUERIES["history"], {"tenant": tenant, "id": anomaly_id}
            ).fetchall()
        return [self._change(row) for row in rows]

    def changes(self, after: int, *, tenant: str | None = None, limit: int = 1000) -> list[Change]:
        name = "changes" if tenant is None else "changes_of_tenant"
        wanted = {"after": after, "tenant": tenant, "limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES[name], wanted).fetchall()
        return [self._change(row) for row in rows]

    def _change(self, row: tuple[Any, ...]) -> Change:
        intact = check_row(row, f"{self._name}: change {row[0]}")
        return Change(**dict(zip(Change.__struct_fields__, intact, strict=True)))

    def last_change(self) -> int:
        with self._readers.lend() as reader:
            return _number(reader, "last_change")

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "all_episodes": lambda row, place: check_row(row, f"{place}: episode {row[1]}"),
            "all_anomalies": lambda row, place: check_row(row, f"{place}: anomaly {row[0]}"),
            "all_changes": lambda row, place: check_row(row, f"{place}: change {row[0]}"),
        }
        return verify_rows(self._readers, self._name, reads, _QUERIES)

    def close(self) -> None:
        self._readers.close()
        self._writer.close()


class _Fold:
    """One row of the outbox on its way into its anomaly, inside a transaction."""

    def __init__(self, writer: apsw.Connection, windows: Windows, now_ms: int) -> None:
        self._writer = writer
        self._windows = windows
        self._now_ms = now_ms

    def fold(self, row: OutboxRow) -> Anomaly | None:
        """The anomaly as it is after the row; None if the row says nothing new."""
        episode = row.episode
        anomaly_id = self._known(episode) or self._placed(episode)
        before = _find(self._writer, episode.tenant, anomaly_id) if anomaly_id else None
        anomaly = before or folding.begin(episode)
        if before is None:
            # a retraction of what was never shown is nothing that a person could act on
            if episode.retracted:
                return None
            self._put(anomaly)
        self._put_episode(row, anomaly.id)
        summary = _summary(self._writer, anomaly.id)
        after = folding.apply(anomaly, summary)
        if after == before:
            return None
        kind = folding.kind_of_change(before, after, summary, episode)
        return self._record(after, kind)

    def _known(self, episode: Episode) -> str | None:
        wanted = {"tenant": episode.tenant, "id": episode.id}
        row: Any = self._writer.execute(_QUERIES["anomaly_of_episode"], wanted).fetchone()
        return row[0] if row else None

    def _placed(self, episode: Episode) -> str | None:
        if episode.retracted:
            return None
        from_ms, to_ms = folding.reach_ms(episode, self._windows)
        wanted: dict[str, Any] = {
            "tenant": episode.tenant,
            "device": episode.device,
            "application": episode.application,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "limit": _NEIGHBOURS_MAX,
        }
        rows: list[Any] = self._writer.execute(_QUERIES["near"], wanted).fetchall()
        return folding.place(episode, [Neighbour(*row) for row in rows], self._windows)

    def _put_episode(self, row: OutboxRow, anomaly_id: str) -> None:
        episode = row.episode
        values = {name: getattr(episode, name) for name in ("tenant", "id", "application", "device")}
        values |= {name: getattr(episode, name) for name in ("parameter", "detector", "started_ms")}
        values |= {
            "anomaly_id": anomaly_id,
            "severity": folding.rank(episode.severity),
            "last_abnormal_ms": episode.last_abnormal_ms,
            "ends_ms": folding.ends_ms(episode),
            "score": None if math.isnan(episode.score) else episode.score,
            "explanation": episode.explanation,
            "retracted": int(episode.retracted),
            "folded_at": row.sequence,
        }
        self._writer.execute(_QUERIES["put_episode"], values)

    def _record(self, anomaly: Anomaly, kind: str) -> Anomaly:
        sequence = _number(self._writer, "last_change") + 1
        anomaly = msgspec.structs.replace(anomaly, version=anomaly.version + 1, updated_sequence=sequence)
        self._put(anomaly)
        change = Change(
            sequence=sequence,
            anomaly_id=anomaly.id,
            tenant=anomaly.tenant,
            at_ms=self._now_ms,
            actor=_ACTOR,
            kind=kind,
            detail=anomaly.explanation,
        )
        self._writer.execute(_QUERIES["add_change"], msgspec.structs.asdict(change))
        return anomaly

    def _put(self, anomaly: Anomaly) -> None:
        values = msgspec.structs.asdict(anomaly)
        values |= {name: msgspec.json.encode(values[name]).decode() for name in _LISTS}
        self._writer.execute(_QUERIES["put_anomaly"], values)


def _summary(connection: apsw.Connection, anomaly_id: str) -> Summary:
    whose = {"anomaly_id": anomaly_id}
    retracted = _number(connection, "valid_episodes", whose) == 0
    wanted = whose | {"retracted": int(retracted), "limit": folding.EPISODES_NAMED_MAX}

    def rows(query: str) -> list[Any]:
        return connection.execute(_QUERIES[query], wanted).fetchall()

    ((episodes, started_ms, last_abnormal_ms, ends_ms, severity, score),) = rows("span")
    return Summary(
        episodes=episodes,
        retracted=retracted,
        started_ms=started_ms,
        last_abnormal_ms=last_abnormal_ms,
        ends_ms=ends_ms,
        severity=folding.severity_of(severity),
        peak_score=score or 0.0,
        strongest=rows("strongest")[0],
        parameters=tuple(row[0] for row in rows("parameters")),
        detectors=tuple(row[0] for row in rows("detectors")),
        names=tuple(row[0] for row in rows("newest_episodes")),
    )


def _find(connection: apsw.Connection, tenant: str, anomaly_id: str) -> Anomaly | None:
    row: Any = connection.execute(_QUERIES["anomaly"], {"tenant": tenant, "id": anomaly_id}).fetchone()
    return _anomaly(row) if row else None


def _anomaly(row: tuple[Any, ...]) -> Anomaly:
    *columns, intact = row
    if not intact:
        raise CorruptError(f"inbox: anomaly {row[0]} does not match its hash")
    values = dict(zip(Anomaly.__struct_fields__, columns, strict=True))
    values |= {name: msgspec.json.decode(values[name]) for name in _LISTS}
    return msgspec.convert(values, Anomaly)


def _number(connection: apsw.Connection, query: str, wanted: dict[str, Any] | None = None) -> int:
    row: Any = connection.execute(_QUERIES[query], wanted or {}).fetchone()
    return int(row[0])
