"""/v1/me: who one is, the own password, and where one is signed in."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tocsin.access.permissions import Permission, allows
from tocsin.access.principal import Role
from tocsin.access.sessions import Session
from tocsin.api.dependencies import AskerOf, PrincipalOf, ServicesOf
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.directory.abstract import Freshness
from tocsin.services.finishing import finished

router = APIRouter(prefix="/v1/me", tags=["me"])

_ME: dict[str, Any] = {
    "id": "person_0f3a9b2c4d5e6f70",
    "name": "Maria Rossi",
    "tenant": "default",
    "person": "person_0f3a9b2c4d5e6f70",
    "roles": ["technician"],
    "permissions": ["handle", "read"],
    "technician": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "must_change_password": False,
    "devices": "own",
    "mapping": "fresh",
    "as_of": "2026-11-22T14:05:00.000Z",
}
_CHANGE: dict[str, Any] = {"current": "the one of before", "new": "the bell rings at noon"}


class Seen(StrEnum):
    """Which devices of the tenant one sees."""

    ALL = "all"
    OWN = "own"


class MeView(BaseModel):
    """Who asks. `id` names the credential or person in histories and the audit log.

    `person` is null for a program; `technician` is the directory's GUID. Where one sees the `own` devices
    alone, `mapping` and `as_of` say how old the directory's word is by which they are; null = for `all`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_ME]})

    id: str
    name: str
    tenant: str
    person: str | None
    roles: list[Role]
    permissions: list[str]
    technician: str | None
    must_change_password: bool
    devices: Seen
    mapping: Freshness | None
    as_of: str | None


class PasswordRequest(BaseModel):
    """The present password, also a one-time password, and the one to come: 12 to 128 characters."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_CHANGE]})

    current: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


class SessionView(BaseModel):
    """A browser that is signed in; `current` is the one that asks. `used_at` is right to about a minute."""

    id: str
    current: bool
    started_at: str
    used_at: str
    expires_at: str
    address: str
    agent: str


class SessionList(BaseModel):
    """The newest first, at most 100."""

    sessions: list[SessionView]


@router.get("", summary="Who am I", responses=answers())
def read_me(services: ServicesOf, asker: AskerOf) -> MeView:
    """The own name, roles and permissions, the technician that one is in the directory, and what one sees."""
    principal = asker.principal
    as_of_ms, mapping = services.sight.age(principal)
    may = [] if principal.must_change else [each for each in Permission if allows(principal, each)]
    return MeView(
        id=principal.key_id,
        name=principal.name,
        tenant=principal.tenant,
        person=principal.person or None,
        roles=sorted(principal.roles),
        permissions=sorted(permission.value for permission in may),
        technician=principal.technician,
        must_change_password=principal.must_change,
        devices=Seen.ALL if mapping is None else Seen.OWN,
        mapping=mapping,
        as_of=iso_or_none(as_of_ms),
    )


@router.post(
    "/password", summary="Change the own password", status_code=204, responses=answers(408, 412, 413, 507)
)
async def change_own_password(services: ServicesOf, asker: AskerOf, wanted: PasswordRequest) -> None:
    """For a person who is signed in by cookie; ends what she is signed in to elsewhere."""
    await finished(services.sessions.change_password(asker.signed_in, wanted.current, wanted.new))


@router.get("/sessions", summary="Where am I signed in", responses=answers())
def list_own_sessions(services: ServicesOf, principal: PrincipalOf, asker: AskerOf) -> SessionList:
    """Browsers signed in as this person, or with this API key."""
    own = "" if asker.signed_in is None else asker.signed_in.session.session_id
    return SessionList(sessions=[_view(each, own) for each in services.sessions.own(principal)])


@router.delete(
    "/sessions/{session_id}", summary="End an own session", status_code=204, responses=answers(404, 507)
)
def end_own_session(services: ServicesOf, principal: PrincipalOf, session_id: Name) -> None:
    """Signs that browser out at once."""
    services.sessions.end(principal, session_id)


def _view(session: Session, own: str) -> SessionView:
    return SessionView(
        id=session.session_id,
        current=session.session_id == own,
        started_at=iso(session.started_ms),
        used_at=iso(session.used_ms),
        expires_at=iso(session.expires_ms),
        address=session.address,
        agent=session.agent,
    )
