"""/v1/me/keys: keys that people make for their programs; and as admins see those of people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tocsin.access.person_keys import PersonKey
from tocsin.access.principal import Scope
from tocsin.api.dependencies import AskerOf, PrincipalOf, ServicesOf
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers

router = APIRouter(prefix="/v1")

_NEW: Final[dict[str, Any]] = {"name": "phone", "scopes": ["act"], "expires_at": "2027-02-20T10:00:00Z"}
_KEY: Final[dict[str, Any]] = {
    "id": "0f3a9b2c4d5e6f70",
    "name": "phone",
    "scopes": ["act"],
    "created_at": "2026-11-22T10:00:00.000Z",
    "expires_at": "2027-02-20T10:00:00.000Z",
    "revoked_at": None,
    "last_used_at": None,
}


class KeyRequest(BaseModel):
    """What the key is for, and what it may do: `read`, `act` (read and act on anomalies), `ingest`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_NEW]})

    name: str = Field(min_length=1, max_length=128)
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    expires_at: Annotated[
        AwareDatetime | None,
        Field(description="Within 400 days; null = in 90 days. RFC 3339 with an offset."),
    ] = None


class KeyView(BaseModel):
    """A key as it is kept: without its secret. `last_used_at` is right to about a minute."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: str
    name: str
    scopes: list[Scope]
    created_at: str
    expires_at: str
    revoked_at: str | None
    last_used_at: str | None


class KeyList(BaseModel):
    """The newest first, those that are over too; at most 100 of these."""

    keys: list[KeyView]


class NewKeyView(BaseModel):
    """A key just made. Keep the token now: it can't be read again."""

    key: KeyView
    token: str


def key_view(key: PersonKey) -> KeyView:
    """What people see of a key."""
    return KeyView(
        id=key.key_id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=iso(key.created_ms),
        expires_at=iso(key.expires_ms),
        revoked_at=iso_or_none(key.revoked_ms),
        last_used_at=iso_or_none(key.last_used_ms),
    )


@router.get("/me/keys", tags=["me"], summary="List own keys", responses=answers())
def list_own_keys(services: ServicesOf, _: PrincipalOf, asker: AskerOf) -> KeyList:
    """For a person who is signed in: no key tells of others."""
    return KeyList(keys=list(map(key_view, services.own_keys.own(asker.signed_in))))


@router.post(
    "/me/keys",
    tags=["me"],
    summary="Make a key of one's own",
    status_code=201,
    responses=answers(408, 409, 413, 507),
)
def create_own_key(services: ServicesOf, _: PrincipalOf, asker: AskerOf, wanted: KeyRequest) -> NewKeyView:
    """For a person who is signed in; the answer holds the token, this once.

    A key may do what its scopes say and its person may at the time of asking; it dies with that access.
    """
    made = services.own_keys.make(
        asker.signed_in, name=wanted.name, scopes=wanted.scopes, expires_ms=_milliseconds(wanted.expires_at)
    )
    return NewKeyView(key=key_view(made.key), token=made.token)


@router.delete(
    "/me/keys/{key_id}",
    tags=["me"],
    summary="Revoke an own key",
    status_code=204,
    responses=answers(404, 507),
)
def revoke_own_key(services: ServicesOf, _: PrincipalOf, asker: AskerOf, key_id: Name) -> None:
    """Ends it for good, at once; asking again changes nothing."""
    services.own_keys.revoke(asker.signed_in, key_id)


@router.get(
    "/people/{person_id}/keys", tags=["people"], summary="List a person's keys", responses=answers(404)
)
def list_keys_of_person(services: ServicesOf, principal: PrincipalOf, person_id: Name) -> KeyList:
    """For admins, who make none in another's name."""
    return KeyList(keys=list(map(key_view, services.own_keys.of_person(principal, person_id))))


@router.delete(
    "/people/{person_id}/keys/{key_id}",
    tags=["people"],
    summary="Revoke a person's key",
    status_code=204,
    responses=answers(404, 507),
)
def revoke_key_of_person(services: ServicesOf, principal: PrincipalOf, person_id: Name, key_id: Name) -> None:
    """As the person would: for good, at once."""
    services.own_keys.revoke_of(principal, person_id, key_id)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
