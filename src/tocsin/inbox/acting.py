"""An action on its way into the anomalies it is about."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from tocsin.errors import ConflictError
from tocsin.inbox import handling
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import Action, ActionKind, Outcome, Recorded, Target
from tocsin.inbox.handling import RefusedError
from tocsin.inbox.rows import QUERIES, find, number, record
from tocsin.storage.hashing import check_row

_CHANGED = "It has changed since."


class Acting:
    """Works inside a transaction; `place` names the file where a row is found altered."""

    def __init__(self, writer: apsw.Connection, place: str) -> None:
        self._writer = writer
        self._place = place

    def act(self, action: Action) -> Recorded:
        """As Inbox.act."""
        first = self._first(action)
        if first is not None:
            return first
        sequence = number(self._writer, "last_action") + 1
        outcomes = tuple(self._one(action, target, sequence) for target in action.targets)
        done = any(not outcome.code for outcome in outcomes)
        recorded = Recorded(
            sequence=sequence if done else 0,
            position=number(self._writer, "position"),
            action=action,
            outcomes=outcomes,
        )
        if done:
            self._add(recorded)
        return recorded

    def _first(self, action: Action) -> Recorded | None:
        wanted = {"tenant": action.tenant, "actor": action.actor, "key": action.key}
        row: Any = self._writer.execute(QUERIES["action_of_key"], wanted).fetchone()
        if not row:
            return None
        first = recorded_of(row, self._place)
        if not first.action.is_repeated_by(action):
            raise ConflictError(
                "This Idempotency-Key came with another action before.", field="Idempotency-Key"
            )
        return msgspec.structs.replace(first, repeated=True)

    def _one(self, action: Action, target: Target, sequence: int) -> Outcome:
        anomaly = find(self._writer, action.tenant, target.id)
        if anomaly is None:
            return Outcome(id=target.id, code="not_found", detail="There is no such anomaly.")
        if anomaly.merged_into is not None:
            detail = f"It was merged into {anomaly.merged_into}: act on that one."
            return Outcome(id=anomaly.id, version=anomaly.version, code="conflict", detail=detail)
        if target.version is not None and self._is_other(anomaly, target.version):
            return Outcome(
                id=anomaly.id, version=anomaly.version, code="precondition_failed", detail=_CHANGED
            )
        try:
            after = handling.after(anomaly, action, sequence)
        except RefusedError as error:
            return Outcome(id=anomaly.id, version=anomaly.version, code="conflict", detail=str(error))
        if action.kind is not ActionKind.SEEN or after != anomaly:
            after = self._record(after, action, sequence)
        return Outcome(id=anomaly.id, version=after.version)

    def _is_other(self, anomaly: Anomaly, version: int) -> bool:
        """Whether more has happened since that version than that somebody looked or said something."""
        if not 0 < version <= anomaly.version:
            return True
        wanted = {"tenant": anomaly.tenant, "id": anomaly.id, "version": version, "limit": -1}
        rows: Any = self._writer.execute(QUERIES["history_from"], wanted)
        return any(check_row(row, self._place)[5] not in handling.HARMLESS for row in rows)

    def _record(self, anomaly: Anomaly, action: Action, sequence: int) -> Anomaly:
        return record(
            self._writer,
            anomaly,
            at_ms=action.at_ms,
            actor=action.actor,
            kind=handling.TOLD[action.kind],
            detail=handling.detail_of(action),
            action=sequence,
        )

    def _add(self, recorded: Recorded) -> None:
        action = recorded.action
        values = {
            "sequence": recorded.sequence,
            "tenant": action.tenant,
            "actor": action.actor,
            "key": action.key,
            "position": recorded.position,
            "request": msgspec.json.encode(action).decode(),
            "outcomes": msgspec.json.encode(recorded.outcomes).decode(),
        }
        self._writer.execute(QUERIES["add_action"], values)


def recorded_of(row: tuple[Any, ...], place: str) -> Recorded:
    """The action of a row; CorruptError when the disk has altered it."""
    sequence, _, _, _, position, request, outcomes = check_row(row, f"{place}: action {row[0]}")
    return Recorded(
        sequence=sequence,
        position=position,
        action=msgspec.json.decode(request, type=Action),
        outcomes=msgspec.json.decode(outcomes, type=tuple[Outcome, ...]),
    )
