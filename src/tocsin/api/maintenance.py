"""/v1/maintenance: what is being worked on, so that nobody is alerted by it, or nothing is learnt."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.actions import IdempotencyKey
from tocsin.api.cursor import decode_number, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.etags import etag_of, version_in
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit
from tocsin.clock import parse_time
from tocsin.errors import InvalidInputError, PreconditionRequiredError
from tocsin.services.actions import NAME_CHARACTERS_MAX as KEY_CHARACTERS_MAX
from tocsin.services.maintenance_window import (
    DAYS,
    NAME_CHARACTERS_MAX,
    WHY_CHARACTERS_MAX,
    Changes,
    Covers,
    MaintenanceWindow,
    State,
    Wanted,
    Weekly,
    clock_of,
    minute_of,
)

router = APIRouter(prefix="/v1/maintenance", tags=["maintenance"])

_ONCE: Final[dict[str, Any]] = {
    "device": "pump-7",
    "from": "2026-11-22T10:00:00Z",
    "to": "2026-11-22T12:00:00Z",
    "why": "new bearing",
}
_WEEKLY: Final[dict[str, Any]] = {
    "location": "hall 3",
    "from": "2026-11-22T00:00:00Z",
    "weekly": {"days": ["sunday"], "from": "22:00", "to": "02:00", "timezone": "Europe/Berlin"},
    "why": "cleaning",
    "no_learn": True,
}
_WINDOW: Final[dict[str, Any]] = {
    "id": "mw_0193a7c2f4d1e8b0",
    "device": "pump-7",
    "location": None,
    "application": None,
    "from_at": "2026-11-22T10:00:00.000Z",
    "to_at": "2026-11-22T12:00:00.000Z",
    "weekly": None,
    "why": "new bearing",
    "no_alert": True,
    "no_learn": False,
    "devices": 1,
    "state": "holds",
    "made_at": "2026-11-22T09:58:00.000Z",
    "made_by": "person_0f3a9b2c4d5e6f70",
    "ended_at": None,
    "ended_by": None,
    "version": 1,
}
IfMatch = Annotated[
    str | None, Header(description="The ETag of the window as it was read; `*` for whatever it is now.")
]
Of = Annotated[str | None, Field(max_length=NAME_CHARACTERS_MAX)]


class WeeklyRequest(BaseModel):
    """Between two times of day on these days; a `to` at or before `from` is on the day after."""

    model_config = ConfigDict(extra="forbid")

    days: list[str] = Field(min_length=1, max_length=7, description="`monday` to `sunday`.")
    from_: str = Field(alias="from", max_length=5, description="Such as 22:00.")
    to: str = Field(max_length=5)
    timezone: str = Field("UTC", min_length=1, max_length=64, description="Such as Europe/Berlin.")


class WindowRequest(BaseModel):
    """One of `device`, `location` and `application`; from when to when; and why, for people.

    `to` may be left out of what repeats: it then goes on until somebody ends it.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ONCE, _WEEKLY]})

    device: Of = None
    location: Of = None
    application: Of = None
    from_: str = Field(alias="from", max_length=64, description="RFC 3339, or milliseconds since 1970.")
    to: str | None = Field(None, max_length=64)
    weekly: WeeklyRequest | None = None
    why: str = Field("", max_length=WHY_CHARACTERS_MAX)
    no_alert: bool = Field(True, description="Nobody is alerted within it.")
    no_learn: bool = Field(False, description="Nothing is learnt from what is sent within it.")


class ChangeRequest(BaseModel):
    """What is to be otherwise; what is left out stays. `to`: null has what repeats go on without an end."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"to": "2026-11-22T14:00:00Z", "no_learn": True}]}
    )

    to: str | None = Field(None, max_length=64)
    why: str | None = Field(None, max_length=WHY_CHARACTERS_MAX)
    no_alert: bool | None = None
    no_learn: bool | None = None


class WeeklyView(BaseModel):
    """As it was asked for."""

    days: list[str]
    from_: str = Field(serialization_alias="from")
    to: str
    timezone: str


class WindowView(BaseModel):
    """A maintenance window; `version` is the ETag.

    `devices` is how many it covers now, `state` whether it holds at this moment.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_WINDOW]})

    id: str
    device: str | None
    location: str | None
    application: str | None
    from_at: str
    to_at: str | None
    weekly: WeeklyView | None
    why: str
    no_alert: bool
    no_learn: bool
    devices: int
    state: State
    made_at: str
    made_by: str
    ended_at: str | None
    ended_by: str | None
    version: int


class WindowPage(BaseModel):
    """A page, the newest first, with those that are over; `next` is the cursor of the next one."""

    windows: list[WindowView]
    next: str | None


@router.get("", summary="List maintenance windows", responses=answers())
def list_windows(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 50
) -> WindowPage:
    """Those of devices that you see, the newest first."""
    before = None if cursor is None else decode_number("maintenance", cursor, tenant=principal.tenant)
    found, following = services.maintenance.page(principal, before=before, limit=limit)
    return WindowPage(
        windows=[window_view(each, state=services.maintenance.state(each)) for each in found],
        next=None if following is None else encode_cursor("maintenance", following, tenant=principal.tenant),
    )


@router.post(
    "",
    summary="Begin maintenance",
    status_code=201,
    response_model=WindowView,
    responses=answers(404, 408, 409, 413, 507),
)
def begin_maintenance(
    services: ServicesOf,
    principal: PrincipalOf,
    wanted: WindowRequest,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Within the window nobody is alerted by its devices: what would have been an episode is kept, as
    suppressed, and is told if it goes on behind the window's end. Readings are judged as ever. With
    `no_learn` nothing is learnt from them, with `no_alert: false` people are alerted all the same. It acts on
    what devices send from now on. Windows of a location or an application are for operators.
    """
    if len(idempotency_key) > KEY_CHARACTERS_MAX:
        raise InvalidInputError(f"At most {KEY_CHARACTERS_MAX} characters.", field="Idempotency-Key")
    made, repeated = services.maintenance.begin(principal, wanted_of(wanted), key=idempotency_key)
    headers = {"ETag": etag_of(made.revision)} | ({"Tocsin-Repeated": "true"} if repeated else {})
    view = window_view(made, state=services.maintenance.state(made))
    return Response(view.model_dump_json(by_alias=True), 201, headers=headers, media_type="application/json")


@router.get("/{window_id}", summary="Read a maintenance window", responses=answers(404))
def read_window(
    services: ServicesOf, principal: PrincipalOf, window_id: Name, response: Response
) -> WindowView:
    """One window, with the ETag that its end names."""
    return _with_etag(response, services, services.maintenance.one(principal, window_id))


@router.patch(
    "/{window_id}", summary="Change maintenance", responses=answers(404, 408, 409, 412, 413, 428, 507)
)
def change_maintenance(
    services: ServicesOf,
    principal: PrincipalOf,
    window_id: Name,
    changes: ChangeRequest,
    response: Response,
    if_match: IfMatch = None,
) -> WindowView:
    """Another end, another reason, or something else that it keeps back, from now on: what devices have sent
    stays as it was told. If-Match has to be there. One that is over can't be changed.
    """
    revision = _revision(if_match)
    found = services.maintenance.change(principal, window_id, changes_of(changes), revision=revision)
    return _with_etag(response, services, found)


@router.post(
    "/{window_id}/end", summary="End maintenance", responses=answers(404, 408, 409, 412, 413, 428, 507)
)
def end_maintenance(
    services: ServicesOf,
    principal: PrincipalOf,
    window_id: Name,
    response: Response,
    if_match: IfMatch = None,
) -> WindowView:
    """From now on the window holds no longer; it stays in the list. If-Match has to be there. One that was
    ended before is answered as it is, so that a phone may ask again.
    """
    revision = _revision(if_match)
    return _with_etag(response, services, services.maintenance.end(principal, window_id, revision=revision))


def _revision(if_match: str | None) -> int | None:
    if if_match is None:
        raise PreconditionRequiredError(
            "Send If-Match with the window's ETag, or * for whatever it is now.", field="If-Match"
        )
    return version_in(if_match, "a window")


def window_view(window: MaintenanceWindow, *, state: State) -> WindowView:
    """What people see of a window."""
    wanted, weekly = window.wanted, window.wanted.weekly
    named = {each.value: wanted.name if wanted.covers is each else None for each in Covers}
    return WindowView(
        **named,
        id=window.id,
        from_at=iso(wanted.from_ms),
        to_at=iso_or_none(wanted.until_ms),
        weekly=None if weekly is None else _weekly_view(weekly),
        why=wanted.why,
        no_alert=wanted.no_alert,
        no_learn=wanted.no_learn,
        devices=len(window.members),
        state=state,
        made_at=iso(window.created_ms),
        made_by=window.actor,
        ended_at=iso_or_none(window.ended_ms),
        ended_by=window.ended_by or None,
        version=window.revision,
    )


def changes_of(asked: ChangeRequest) -> Changes:
    """What a request wants otherwise; InvalidInputError where it can't be understood."""
    until_ms: int | msgspec.UnsetType | None = msgspec.UNSET
    if "to" in asked.model_fields_set:
        until_ms = None if asked.to is None else parse_time(asked.to, "to")
    return Changes(
        until_ms=until_ms,
        why=msgspec.UNSET if asked.why is None else asked.why,
        no_alert=msgspec.UNSET if asked.no_alert is None else asked.no_alert,
        no_learn=msgspec.UNSET if asked.no_learn is None else asked.no_learn,
    )


def wanted_of(asked: WindowRequest) -> Wanted:
    """What a request asks for; InvalidInputError where it can't be understood."""
    named = [(each, getattr(asked, each.value)) for each in Covers]
    given = [(covers, name) for covers, name in named if name is not None]
    if len(given) != 1:
        raise InvalidInputError("Name one of device, location and application.", field="device")
    covers, name = given[0]
    return Wanted(
        covers=covers,
        name=name,
        from_ms=parse_time(asked.from_, "from"),
        until_ms=None if asked.to is None else parse_time(asked.to, "to"),
        weekly=None if asked.weekly is None else _weekly_of(asked.weekly),
        why=asked.why,
        no_alert=asked.no_alert,
        no_learn=asked.no_learn,
    )


def _weekly_of(asked: WeeklyRequest) -> Weekly:
    unknown = [day for day in asked.days if day.lower() not in DAYS]
    if unknown:
        raise InvalidInputError("Days are monday to sunday.", field="weekly.days")
    return Weekly(
        days=tuple(sorted(DAYS.index(day.lower()) for day in asked.days)),
        from_minute=minute_of(asked.from_, "weekly.from"),
        until_minute=minute_of(asked.to, "weekly.to"),
        zone=asked.timezone,
    )


def _weekly_view(weekly: Weekly) -> WeeklyView:
    return WeeklyView(
        days=[DAYS[day] for day in weekly.days],
        from_=clock_of(weekly.from_minute),
        to=clock_of(weekly.until_minute),
        timezone=weekly.zone,
    )


def _with_etag(response: Response, services: ServicesOf, window: MaintenanceWindow) -> WindowView:
    response.headers["ETag"] = etag_of(window.revision)
    return window_view(window, state=services.maintenance.state(window))
