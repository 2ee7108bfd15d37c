"""Anomalies and their history as rows: read and written inside a transaction."""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from tocsin.errors import CorruptError
from tocsin.inbox import folding
from tocsin.inbox.abstract import Anomaly, Change, Condition
from tocsin.inbox.action import Handling
from tocsin.inbox.folding import Summary
from tocsin.model import Severity
from tocsin.storage.hashing import check_row
from tocsin.storage.scripts import load_scripts

SCRIPTS: Final = load_scripts("tocsin.inbox", "inbox")
QUERIES: Final = SCRIPTS.queries
HASHED: Final = (
    *("id", "tenant", "application", "device", "parameters", "detectors", "severity", "condition"),
    *("started_ms", "last_abnormal_ms", "cleared_ms", "updated_sequence", "version", "recurrences"),
    *("explanation", "peak_score", "episodes", "handling", "seen_at_ms", "assignee", "snoozed_until_ms"),
    *("settled_ms", "settled_severity", "merged_into"),
)
"""The columns in the order in which they are hashed."""
_LISTS: Final = ("parameters", "detectors", "episodes")
_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_WORDS: Final[dict[str, dict[str | None, Any]]] = {
    "severity": {word.value: word for word in Severity},
    "condition": {word.value: word for word in Condition},
    "handling": {word.value: word for word in Handling},
    "settled_severity": {None: None} | {word.value: word for word in Severity},
}


def find(connection: apsw.Connection, tenant: str, anomaly_id: str) -> Anomaly | None:
    """One anomaly; CorruptError when the disk has altered it."""
    row: Any = connection.execute(QUERIES["anomaly"], {"tenant": tenant, "id": anomaly_id}).fetchone()
    return anomaly_of(row) if row else None


def anomaly_of(row: tuple[Any, ...]) -> Anomaly:
    """The anomaly of a row; CorruptError as above."""
    *columns, intact = row
    if not intact:
        raise CorruptError(f"inbox: anomaly {row[0]} does not match its hash")
    values = dict(zip(Anomaly.__struct_fields__, columns, strict=True))
    values |= {name: msgspec.json.decode(values[name]) for name in _LISTS}
    return msgspec.convert(values, Anomaly)


def hashed_anomaly_of(row: tuple[Any, ...]) -> Anomaly:
    """The same of a row in the order of its hash, which is checked here: many rows take half the time so.

    Types are not checked again: the hash says that the columns are those that were written.
    """
    columns = check_row(row, f"inbox: anomaly {row[0]}")
    values = dict(zip(HASHED, columns, strict=True))
    for name in _LISTS:
        values[name] = _texts(values[name])
    for name, words in _WORDS.items():
        values[name] = words[values[name]]
    return Anomaly(**values)


def put(writer: apsw.Connection, anomaly: Anomaly) -> None:
    """Write it as it is."""
    values = msgspec.structs.asdict(anomaly)
    values |= {name: msgspec.json.encode(values[name]).decode() for name in _LISTS}
    writer.execute(QUERIES["put_anomaly"], values)


def record(
    writer: apsw.Connection,
    anomaly: Anomaly,
    *,
    at_ms: int,
    actor: str,
    kind: str,
    detail: str,
    action: int | None = None,
) -> Anomaly:
    """Write it with its next version, and the entry that says why; the anomaly with both numbers."""
    sequence = number(writer, "last_change") + 1
    anomaly = msgspec.structs.replace(anomaly, version=anomaly.version + 1, updated_sequence=sequence)
    put(writer, anomaly)
    change = Change(
        sequence=sequence,
        anomaly_id=anomaly.id,
        tenant=anomaly.tenant,
        at_ms=at_ms,
        actor=actor,
        kind=kind,
        detail=detail,
        action=action,
    )
    writer.execute(QUERIES["add_change"], msgspec.structs.asdict(change))
    return anomaly


def summary_of(connection: apsw.Connection, anomaly_id: str) -> Summary:
    """What its episodes amount to, reckoned anew."""
    whose = {"anomaly_id": anomaly_id}
    retracted = number(connection, "valid_episodes", whose) == 0
    wanted = whose | {"retracted": int(retracted), "limit": folding.EPISODES_NAMED_MAX}

    def rows(query: str) -> list[Any]:
        return connection.execute(QUERIES[query], wanted).fetchall()

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


def number(connection: apsw.Connection, query: str, wanted: dict[str, Any] | None = None) -> int:
    """The one number that a query gives."""
    row: Any = connection.execute(QUERIES[query], wanted or {}).fetchone()
    return int(row[0])
