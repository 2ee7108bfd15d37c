"""One row of the outbox on its way into its anomaly."""

from __future__ import annotations

import math
from typing import Any, Final

import apsw

from tocsin.commit.abstract import OutboxRow
from tocsin.inbox import folding, handling
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.folding import Neighbour, Windows
from tocsin.inbox.rows import QUERIES, find, put, record, summary_of
from tocsin.model import Episode

ACTOR: Final = "tocsin"
_NEIGHBOURS_MAX: Final = 500


class RowFolding:
    """Works inside a transaction."""

    def __init__(self, writer: apsw.Connection, windows: Windows, now_ms: int) -> None:
        self._writer = writer
        self._windows = windows
        self._now_ms = now_ms

    def fold(self, row: OutboxRow) -> Anomaly | None:
        """The anomaly as it is after the row; None if the row says nothing new."""
        episode = row.episode
        known = self._known(episode)
        anomaly_id = known or self._placed(episode)
        before = find(self._writer, episode.tenant, anomaly_id) if anomaly_id else None
        anomaly = before or folding.begin(episode)
        if before is None:
            # a retraction of what was never shown is nothing that a person could act on, nor is what
            # maintenance keeps from people
            if _is_void(episode):
                return None
            put(self._writer, anomaly)
        self._put_episode(row, anomaly.id)
        summary = summary_of(self._writer, anomaly.id)
        after = handling.met(anomaly, folding.apply(anomaly, summary), None if known else episode)
        if after == before:
            return None
        kind = folding.kind_of_change(before, after, summary, episode)
        return record(
            self._writer, after, at_ms=self._now_ms, actor=ACTOR, kind=kind, detail=after.explanation
        )

    def _known(self, episode: Episode) -> str | None:
        wanted = {"tenant": episode.tenant, "id": episode.id}
        row: Any = self._writer.execute(QUERIES["anomaly_of_episode"], wanted).fetchone()
        return row[0] if row else None

    def _placed(self, episode: Episode) -> str | None:
        if _is_void(episode):
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
        rows: list[Any] = self._writer.execute(QUERIES["near"], wanted).fetchall()
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
            "explanation": _said(episode),
            "retracted": int(_is_void(episode)),
            "folded_at": row.sequence,
        }
        self._writer.execute(QUERIES["put_episode"], values)


def _said(episode: Episode) -> str:
    """Its sentence; of one that maintenance keeps back it says so first."""
    return f"kept back by maintenance; {episode.explanation}" if episode.suppressed else episode.explanation


def _is_void(episode: Episode) -> bool:
    """Whether nobody is to be told of it (any more)."""
    return episode.retracted or bool(episode.suppressed)
