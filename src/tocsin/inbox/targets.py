"""The anomalies that an action names: whether they can be acted on, and how it is written down."""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from tocsin.inbox import handling
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import Action, Outcome, Recorded, Target
from tocsin.inbox.rows import QUERIES, find, record
from tocsin.storage.hashing import check_row

_KIND: Final = 5  # the place of the kind in a row of the history


def ready(writer: apsw.Connection, place: str, action: Action, target: Target) -> Anomaly | Outcome:
    """The anomaly, or why the action can't be done to it."""
    anomaly = None if target.id in action.hidden else find(writer, action.tenant, target.id)
    if anomaly is None:
        return Outcome(id=target.id, code="not_found", detail="There is no such anomaly.")
    if anomaly.merged_into is not None:
        return refused(anomaly, handling.gone(anomaly))
    if target.version is not None and _is_other(writer, place, anomaly, target.version):
        return refused(anomaly, "It has changed since.", "precondition_failed")
    return anomaly


def unchanged(writer: apsw.Connection, place: str, tenant: str, anomaly_id: str, version: int) -> bool:
    """Whether nothing has happened to it since that version but that people looked or said something."""
    anomaly = find(writer, tenant, anomaly_id)
    return anomaly is not None and not _is_other(writer, place, anomaly, version)


def refused(anomaly: Anomaly, why: str, code: str = "conflict") -> Outcome:
    """It stays as it is."""
    return Outcome(id=anomaly.id, version=anomaly.version, code=code, detail=why)


def put_change(
    writer: apsw.Connection, anomaly: Anomaly, action: Action, sequence: int, kind: str, detail: str
) -> Anomaly:
    """Write the anomaly with the entry of its history; as it then is."""
    return record(
        writer,
        anomaly,
        at_ms=action.at_ms,
        actor=action.actor,
        kind=kind,
        detail=detail,
        action=sequence,
    )


def _is_other(writer: apsw.Connection, place: str, anomaly: Anomaly, version: int) -> bool:
    if not 0 < version <= anomaly.version:
        return True
    wanted = {"tenant": anomaly.tenant, "id": anomaly.id, "version": version, "limit": -1}
    rows: Any = writer.execute(QUERIES["history_from"], wanted)
    return any(check_row(row, place)[_KIND] not in handling.HARMLESS for row in rows)


def recorded_of(row: tuple[Any, ...], place: str) -> Recorded:
    """The action of a row; CorruptError when the disk has altered it."""
    sequence, _, _, _, position, request, outcomes = check_row(row, f"{place}: action {row[0]}")
    return Recorded(
        sequence=sequence,
        position=position,
        action=msgspec.json.decode(request, type=Action),
        outcomes=msgspec.json.decode(outcomes, type=tuple[Outcome, ...]),
    )
