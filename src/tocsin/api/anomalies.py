"""/v1/anomalies: what people act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict

from tocsin.access.principal import Principal
from tocsin.api.cursor import decode_number, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, finite, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, From, Limit, To, time_or_none
from tocsin.api.problems import refuse_method
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Condition
from tocsin.inbox.action import Handling
from tocsin.model import Severity
from tocsin.services.bundle import Services

router = APIRouter(prefix="/v1/anomalies", tags=["anomalies"])

_SEQUENCE_MAX: Final = (1 << 63) - 1
Since = Annotated[int, Query(ge=0, le=_SEQUENCE_MAX, description="The `last` of the answer before.")]
ANOMALY_EXAMPLE: Final[dict[str, Any]] = {
    "id": "0193a7c2f4",
    "application": "hvac",
    "device": "pump-7",
    "parameters": ["temperature"],
    "detectors": ["seasonal"],
    "severity": "warning",
    "condition": "active",
    "handling": "open",
    "started_at": "2026-11-22T14:03:00.000Z",
    "last_abnormal_at": "2026-11-22T14:10:00.000Z",
    "cleared_at": None,
    "seen_at": None,
    "snoozed_until": None,
    "assignee": None,
    "merged_into": None,
    "recurrences": 0,
    "explanation": "temperature 93.2 °C is 12.1 °C above the 81.1 °C limit usual on Sundays at 14:00",
    "peak_score": 1.8,
    "episodes": ["5f2a9c0e11d4"],
    "version": 3,
    "updated_sequence": 41,
}


class AnomalyView(BaseModel):
    """An anomaly. `version` is its ETag; `episodes` names the newest episodes folded into it.

    `seen_at` null: nobody has seen it since it was opened (again).
    """

    model_config = ConfigDict(json_schema_extra={"examples": [ANOMALY_EXAMPLE]})

    id: str
    application: str
    device: str
    parameters: list[str]
    detectors: list[str]
    severity: Severity
    condition: Condition
    handling: Handling
    started_at: str
    last_abnormal_at: str
    cleared_at: str | None
    seen_at: str | None
    snoozed_until: str | None
    assignee: str | None
    merged_into: str | None
    recurrences: int
    explanation: str
    peak_score: float | None
    episodes: list[str]
    version: int
    updated_sequence: int


class AnomalyPage(BaseModel):
    """A page, newest change first; `next` is the cursor of the next one, null at the end."""

    anomalies: list[AnomalyView]
    next: str | None


class ChangeView(BaseModel):
    """One thing that happened to an anomaly; `action` numbers what a person did, null: data did it.

    `actor` is an id that stays, `actor_name` what people call whom it stands for by now.
    """

    sequence: int
    anomaly_id: str
    at: str
    actor: str
    actor_name: str
    kind: str
    detail: str
    action: int | None


class Changes(BaseModel):
    """What happened to any anomaly, oldest first; ask again with `after` = `last`."""

    changes: list[ChangeView]
    last: int


class History(BaseModel):
    """What happened to an anomaly, oldest first."""

    changes: list[ChangeView]


def anomaly_fields(anomaly: Anomaly) -> dict[str, Any]:
    """What people see of an anomaly, by the names of AnomalyView."""
    return {
        "id": anomaly.id,
        "application": anomaly.application,
        "device": anomaly.device,
        "parameters": anomaly.parameters,
        "detectors": anomaly.detectors,
        "severity": anomaly.severity,
        "condition": anomaly.condition,
        "handling": anomaly.handling,
        "started_at": iso(anomaly.started_ms),
        "last_abnormal_at": iso(anomaly.last_abnormal_ms),
        "cleared_at": iso_or_none(anomaly.cleared_ms),
        "seen_at": iso_or_none(anomaly.seen_at_ms),
        "snoozed_until": iso_or_none(anomaly.snoozed_until_ms),
        "assignee": anomaly.assignee,
        "merged_into": anomaly.merged_into,
        "recurrences": anomaly.recurrences,
        "explanation": anomaly.explanation,
        "peak_score": finite(anomaly.peak_score),
        "episodes": anomaly.episodes,
        "version": anomaly.version,
        "updated_sequence": anomaly.updated_sequence,
    }


def anomaly_view(anomaly: Anomaly) -> AnomalyView:
    """What people see of an anomaly, checked."""
    return AnomalyView(**anomaly_fields(anomaly))


def change_views(services: Services, principal: Principal, changes: Sequence[Change]) -> list[ChangeView]:
    """What people see of changes, in their order."""
    names = services.actions.names(principal, changes)
    return [
        ChangeView(
            sequence=change.sequence,
            anomaly_id=change.anomaly_id,
            at=iso(change.at_ms),
            actor=change.actor,
            actor_name=names.get(change.actor, change.actor),
            kind=change.kind,
            detail=change.detail,
            action=change.action,
        )
        for change in changes
    ]


@router.get("", summary="List anomalies", responses=answers())
def list_anomalies(
    services: ServicesOf,
    principal: PrincipalOf,
    device: str | None = None,
    application: str | None = None,
    parameter: str | None = None,
    severity: Severity | None = None,
    condition: Condition | None = None,
    handling: Handling | None = None,
    unresolved: bool | None = None,
    seen: bool | None = None,
    assignee: str | None = None,
    from_: From = None,
    to: To = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> AnomalyPage:
    """Anomalies that match all filters, newest change first."""
    query = AnomalyQuery(
        tenant=principal.tenant,
        device=device,
        application=application,
        parameter=parameter,
        severity=severity,
        condition=condition,
        handling=handling,
        unresolved=unresolved,
        seen=seen,
        assignee=assignee,
        from_ms=time_or_none(from_, "from"),
        to_ms=time_or_none(to, "to"),
        before_sequence=None
        if cursor is None
        else decode_number("anomalies", cursor, tenant=principal.tenant),
        limit=limit,
    )
    found, before = services.anomalies.page(principal, query)
    following = None if before is None else encode_cursor("anomalies", before, tenant=principal.tenant)
    return AnomalyPage(anomalies=[anomaly_view(anomaly) for anomaly in found], next=following)


@router.get("/changes", summary="Read what happened since", responses=answers())
def list_changes(
    services: ServicesOf,
    principal: PrincipalOf,
    after: Since = 0,
    limit: Limit = 100,
) -> Changes:
    """Everything that happened to the tenant's anomalies, in order: what data did and what people did.

    The sequences are the ids of the events of `/v1/stream`, so a client may go from one to the other.
    """
    found = services.anomalies.changes(principal, after, limit)
    last = found[-1].sequence if found else after
    return Changes(changes=change_views(services, principal, found), last=last)


@router.get(
    "/{anomaly_id}",
    summary="Read an anomaly",
    responses=answers(404) | {304: {"description": "It has not changed."}},
    response_model=AnomalyView,
)
def read_anomaly(
    services: ServicesOf,
    principal: PrincipalOf,
    anomaly_id: Name,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> AnomalyView | Response:
    """One anomaly with its ETag, told as it is now: while it goes on, it is sent though its version stays."""
    anomaly = services.anomalies.one(principal, anomaly_id)
    etag = f'"{anomaly.version}"'
    unchanged = if_none_match is not None and etag in {tag.strip() for tag in if_none_match.split(",")}
    if unchanged and services.anomalies.is_as_stored(anomaly):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return anomaly_view(anomaly)


@router.get("/{anomaly_id}/history", summary="Read what happened to an anomaly", responses=answers(404))
def read_history(services: ServicesOf, principal: PrincipalOf, anomaly_id: Name) -> History:
    """Its entries in the inbox's log, oldest first."""
    changes = services.anomalies.history(principal, anomaly_id)
    return History(changes=change_views(services, principal, changes))


# else the address would be that of an action called "history", of which there is none
router.add_route("/v1/anomalies/{anomaly_id}/history", refuse_method, ["POST"], include_in_schema=False)
