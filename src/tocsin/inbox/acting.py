"""An action on its way into the anomalies it is about."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from tocsin.errors import ConflictError
from tocsin.inbox import handling
from tocsin.inbox.action import Action, ActionKind, Outcome, Recorded, Target
from tocsin.inbox.grouping import Grouping
from tocsin.inbox.handling import RefusedError
from tocsin.inbox.rows import QUERIES, number
from tocsin.inbox.targets import put_change, ready, recorded_of, refused


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
        match action.kind:
            case ActionKind.MERGE | ActionKind.SPLIT | ActionKind.UNDO:
                outcomes = Grouping(self._writer, self._place, action, sequence).outcomes()
            case _:
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
        anomaly = ready(self._writer, self._place, action, target)
        if isinstance(anomaly, Outcome):
            return anomaly
        try:
            after = handling.after(anomaly, action)
        except RefusedError as error:
            return refused(anomaly, str(error))
        if action.kind is not ActionKind.SEEN or after != anomaly:
            detail = handling.detail_of(action)
            after = put_change(self._writer, after, action, sequence, handling.TOLD[action.kind], detail)
        return Outcome(id=anomaly.id, version=after.version, before=handling.held(anomaly))

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
