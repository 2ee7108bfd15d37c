"""POST /v1/anomalies/{anomaly_id}/{action}: what people do with anomalies."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.anomalies import change_view
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, iso
from tocsin.api.openapi import answers
from tocsin.api.problems import PROBLEM_JSON, problem
from tocsin.clock import parse_time
from tocsin.errors import InvalidInputError, PreconditionRequiredError
from tocsin.inbox.action import ActionKind, Recorded, Target
from tocsin.services.actions import ChangedError, needs_version

router = APIRouter(prefix="/v1/anomalies", tags=["anomalies"])

_ETAG: Final = re.compile(r'"(\d{1,18})"')
_EXAMPLES: Final[list[Any]] = [
    {"note": "bearing ordered"},
    {"until": "2026-11-23T06:00:00Z"},
    {"assignee": "maria"},
]
_DONE: Final[dict[str, Any]] = {
    "action": 17,
    "kind": "acknowledge",
    "at": "2026-11-22T14:12:00.000Z",
    "actor": "key_1f0c",
    "done": [{"id": "an_0193a7c2f4", "version": 4}],
    "left": [],
}
ByPeople = Literal[
    ActionKind.SEEN,
    ActionKind.ACKNOWLEDGE,
    ActionKind.SNOOZE,
    ActionKind.RESOLVE,
    ActionKind.REOPEN,
    ActionKind.ASSIGN,
    ActionKind.COMMENT,
]
"""All kinds but those that are the clock's."""

IfMatch = Annotated[
    str | None,
    Header(description="The ETag of the anomaly as it was read; `*` for whatever it is now."),
]
IdempotencyKey = Annotated[
    str, Header(description="The same key again changes nothing and gets the first answer.")
]


class ActionRequest(BaseModel):
    """What goes with an action: `until` with snooze alone, `assignee` (null = nobody) with assign alone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": _EXAMPLES})

    note: str = Field("", max_length=4000, description="For people; a comment needs one.")
    until: str | None = Field(None, max_length=64, description="RFC 3339, or milliseconds since 1970.")
    assignee: str | None = Field(None, max_length=256)


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
    "/{anomaly_id}/{action}",
    summary="Act on an anomaly",
    response_model=ActionView,
    responses=answers(404, 409, 412, 428, 507),
)
def act_on_anomaly(
    services: ServicesOf,
    principal: PrincipalOf,
    anomaly_id: Name,
    action: ByPeople,
    wanted: ActionRequest | None = None,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Acknowledge, snooze, resolve, reopen, assign, comment on it, or say that you have seen it.

    If-Match has to be there, but for comment and seen: if the anomaly has changed since, nothing is done, and
    the 412 tells what came in between. That somebody has seen it or commented on it is no such change.
    """
    asked = wanted or ActionRequest.model_validate({})
    try:
        recorded = services.actions.one(
            principal,
            action,
            Target(id=anomaly_id, version=_version(action, if_match)),
            note=asked.note,
            until_ms=None if asked.until is None else parse_time(asked.until, "until"),
            assignee=asked.assignee,
            key=idempotency_key,
        )
    except ChangedError as error:
        return _changed(error)
    return action_response(recorded, etag=recorded.outcomes[0].version)


def action_response(recorded: Recorded, *, etag: int | None = None) -> Response:
    """The same bytes for the same record, so that a retry gets exactly the first answer."""
    view = ActionView(
        action=recorded.sequence or None,
        kind=recorded.action.kind,
        at=iso(recorded.action.at_ms),
        actor=recorded.action.actor,
        done=[
            DoneView(id=outcome.id, version=outcome.version)
            for outcome in recorded.outcomes
            if not outcome.code
        ],
        left=[LeftView(**msgspec.structs.asdict(outcome)) for outcome in recorded.outcomes if outcome.code],
    )
    headers = {"Tocsin-Repeated": "true"} if recorded.repeated else {}
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    return Response(view.model_dump_json(), headers=headers, media_type="application/json")


def _version(action: ActionKind, if_match: str | None) -> int | None:
    if if_match is None:
        if needs_version(action):
            raise PreconditionRequiredError(
                "Send If-Match with the anomaly's ETag, or * for whatever it is now.", field="If-Match"
            )
        return None
    if if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidInputError('If-Match is the ETag of an anomaly, such as "3", or *.', field="If-Match")
    return int(found[1])


def _changed(error: ChangedError) -> Response:
    told = {
        "version": error.version,
        "changes": [change_view(change).model_dump(mode="json") for change in error.changes],
    }
    body = problem(error.status, error.code, error.detail, field=error.field, extra=told)
    headers = {"ETag": f'"{error.version}"'}
    return Response(msgspec.json.encode(body), error.status, headers=headers, media_type=PROBLEM_JSON)
