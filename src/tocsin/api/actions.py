"""What people do with anomalies: with one, with many, and undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from tocsin.access.principal import Principal
from tocsin.api.anomalies import change_views
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.etags import etag_of, version_in
from tocsin.api.names import Name, iso
from tocsin.api.openapi import answers
from tocsin.api.problems import PROBLEM_JSON, problem
from tocsin.clock import parse_time
from tocsin.errors import InvalidInputError, PreconditionRequiredError
from tocsin.inbox.action import ActionKind, Recorded, Target
from tocsin.services.actions import Asked, ChangedError, needs_version
from tocsin.services.bundle import Services

router = APIRouter(tags=["anomalies"])

_EXAMPLES: Final[list[Any]] = [
    {"note": "bearing ordered"},
    {"until": "2026-11-23T06:00:00Z"},
    {"assignee": "maria"},
]
_MANY: Final[dict[str, Any]] = {
    "action": "resolve",
    "note": "hall 3 was without power",
    "anomalies": [{"id": "an_0193a7c2f4", "version": 3}, {"id": "an_77b01e2c90"}],
}
_DONE: Final[dict[str, Any]] = {
    "action": 17,
    "kind": "acknowledge",
    "at": "2026-11-22T14:12:00.000Z",
    "actor": "key_1f0c",
    "done": [{"id": "an_0193a7c2f4", "version": 4}],
    "left": [],
}
ForEach = Literal["seen", "acknowledge", "snooze", "resolve", "reopen", "assign", "comment"]
"""What can be done to many at once; `ForOne` is what can be done to one."""

ForOne = Literal["seen", "acknowledge", "snooze", "resolve", "reopen", "assign", "comment", "merge", "split"]
IfMatch = Annotated[
    str | None,
    Header(description="The ETag of the anomaly as it was read; `*` for whatever it is now."),
]
IdempotencyKey = Annotated[
    str, Header(description="The same key again changes nothing and gets the first answer.")
]


class TargetRequest(BaseModel):
    """An anomaly to act on, and the version that was read; null acts on whatever it is now."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=256)
    version: int | None = Field(None, ge=0, le=(1 << 63) - 1)


class Said(BaseModel):
    """What goes with an action: `until` with snooze alone, `assignee` (null = nobody) with assign alone."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=4000, description="For people; a comment needs one.")
    until: str | None = Field(None, max_length=64, description="RFC 3339, or milliseconds since 1970.")
    assignee: str | None = Field(None, max_length=256)


class ActionRequest(Said):
    """As for many; `anomalies` are merged into the one that is acted on, `episodes` are split off it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": _EXAMPLES})

    anomalies: list[TargetRequest] = Field([], max_length=99)
    episodes: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field([], max_length=1000)


class ActionsRequest(Said):
    """One action for up to 100 anomalies."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_MANY]})

    action: ForEach
    anomalies: list[TargetRequest] = Field(min_length=1, max_length=100)


class UndoRequest(BaseModel):
    """Why, for people."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "wrong pump"}]})

    note: str = Field("", max_length=4000)


class DoneView(BaseModel):
    """An anomaly that took the action, and the version it then had."""

    id: str
    version: int


class LeftView(BaseModel):
    """An anomaly that was left as it is, and why."""

    id: str
    version: int
    code: str
    detail: str


class ActionView(BaseModel):
    """What was done, durable: `action` is its number in the inbox's log, null when nothing was done."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DONE]})

    action: int | None
    kind: ActionKind
    at: str
    actor: str
    done: list[DoneView]
    left: list[LeftView]


@router.post(
    "/v1/anomalies/{anomaly_id}/{action}",
    summary="Act on an anomaly",
    response_model=ActionView,
    responses=answers(404, 408, 409, 412, 413, 428, 507),
)
def act_on_anomaly(
    services: ServicesOf,
    principal: PrincipalOf,
    anomaly_id: Name,
    action: ForOne,
    wanted: ActionRequest | None = None,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Acknowledge, snooze, resolve, reopen, assign, comment on it, or say that you have seen it; merge others
    into it, or split episodes off into an anomaly of their own, which is then the second one in `done`.

    If-Match has to be there, but for comment and seen: if the anomaly has changed since, nothing is done, and
    the 412 tells what came in between. That somebody has seen it or commented on it is no such change.
    """
    asked = wanted or ActionRequest.model_validate({})
    kind = ActionKind(action)
    if bool(asked.anomalies) != (kind is ActionKind.MERGE):
        raise InvalidInputError("A merge, and nothing else, names other anomalies.", field="anomalies")
    wants = _asked(kind, asked, idempotency_key, _targets(asked.anomalies), asked.episodes)
    target = Target(id=anomaly_id, version=version_of(kind, if_match))
    try:
        recorded = services.actions.one(principal, wants, target)
    except ChangedError as error:
        return changed_response(services, principal, error)
    return action_response(recorded, etag=recorded.outcomes[0].version)


@router.post(
    "/v1/anomalies/actions",
    summary="Act on many anomalies",
    response_model=ActionView,
    responses=answers(408, 409, 413, 507),
)
def act_on_anomalies(
    services: ServicesOf,
    principal: PrincipalOf,
    wanted: ActionsRequest,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """One action, undone as one. What can't take it, or has changed since the version that you name, is left
    as it is and told in `left`; all others take it.
    """
    asked = _asked(ActionKind(wanted.action), wanted, idempotency_key)
    return action_response(services.actions.many(principal, asked, _targets(wanted.anomalies)))


@router.post(
    "/v1/actions/{action_sequence}/undo",
    summary="Undo an action",
    response_model=ActionView,
    responses=answers(404, 408, 409, 413, 507),
)
def undo_action(
    services: ServicesOf,
    principal: PrincipalOf,
    action_sequence: Annotated[int, Path(ge=1, le=(1 << 63) - 1)],
    wanted: UndoRequest | None = None,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Gives back to each anomaly how it was handled, or its episodes. Where something has happened since,
    other than that people looked or commented, it is left as it is. Merges and splits are undone whole.
    """
    note = "" if wanted is None else wanted.note
    return action_response(services.actions.undo(principal, action_sequence, note=note, key=idempotency_key))


def action_response(recorded: Recorded, *, etag: int | None = None) -> Response:
    """The same bytes for the same record, so that a retry gets exactly the first answer."""
    body = action_view(recorded).model_dump_json()
    return Response(body, headers=action_headers(recorded, etag=etag), media_type="application/json")


def action_headers(recorded: Recorded, *, etag: int | None = None) -> dict[str, str]:
    """Whether it had been done before, and the anomaly's version."""
    headers = {"Tocsin-Repeated": "true"} if recorded.repeated else {}
    return headers if etag is None else headers | {"ETag": etag_of(etag)}


def action_view(recorded: Recorded) -> ActionView:
    """What people see of what was done."""
    return ActionView(
        action=recorded.sequence or None,
        kind=recorded.action.kind,
        at=iso(recorded.action.at_ms),
        actor=recorded.action.actor,
        done=[
            DoneView(id=outcome.id, version=outcome.version)
            for outcome in recorded.outcomes
            if not outcome.code
        ],
        left=[
            LeftView(id=outcome.id, version=outcome.version, code=outcome.code, detail=outcome.detail)
            for outcome in recorded.outcomes
            if outcome.code
        ],
    )


def _asked(
    kind: ActionKind, said: Said, key: str, others: Sequence[Target] = (), episodes: Sequence[str] = ()
) -> Asked:
    return Asked(
        kind=kind,
        note=said.note,
        until_ms=None if said.until is None else parse_time(said.until, "until"),
        assignee=said.assignee,
        others=others,
        episodes=episodes,
        key=key,
    )


def _targets(wanted: Sequence[TargetRequest]) -> list[Target]:
    return [Target(id=each.id, version=each.version) for each in wanted]


def version_of(action: ActionKind, if_match: str | None) -> int | None:
    """The version that If-Match names, None for whatever it is; refused where it has to be there."""
    if if_match is None:
        if needs_version(action):
            raise PreconditionRequiredError(
                "Send If-Match with the anomaly's ETag, or * for whatever it is now.", field="If-Match"
            )
        return None
    return version_in(if_match, "an anomaly")


def changed_response(services: Services, principal: Principal, error: ChangedError) -> Response:
    """412, with what has happened in between."""
    changes = change_views(services, principal, error.changes)
    told = {"version": error.version, "changes": [change.model_dump(mode="json") for change in changes]}
    body = problem(error.status, error.code, error.detail, field=error.field, extra=told)
    headers = {"ETag": etag_of(error.version)} if error.field == "If-Match" else {}
    return Response(msgspec.json.encode(body), error.status, headers=headers, media_type=PROBLEM_JSON)
