"""/v1/credentials and /v1/tenants: who may come in; for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tocsin.access.credential import Credential, CredentialKind, NewCredential
from tocsin.access.principal import Role
from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit
from tocsin.services.credentials import NewToken

router = APIRouter(prefix="/v1", tags=["access"])

_EXAMPLE: dict[str, Any] = {"kind": "gateway", "name": "hall 3", "patterns": ["hall-3-*"]}
ScopeName = Annotated[str, Field(min_length=1, max_length=256)]


class CredentialRequest(BaseModel):
    """What a credential is asked to be. API keys have roles, tokens name the devices they speak for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    kind: CredentialKind
    name: str = Field(min_length=1, max_length=256)
    roles: list[Role] = Field([], max_length=5)
    devices: list[ScopeName] = Field([], max_length=100_000)
    patterns: list[ScopeName] = Field([], max_length=100)
    all_devices: bool = False
    expires_at: AwareDatetime | None = Field(None, description="RFC 3339 with an offset; null = never.")


class CredentialView(BaseModel):
    """A credential as it is kept: without its secret, which only its holder knows."""

    key_id: str
    kind: CredentialKind
    name: str
    roles: list[Role]
    devices: list[str]
    patterns: list[str]
    all_devices: bool
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class CredentialPage(BaseModel):
    """A page by key id, revoked ones too; `next` is the cursor of the next one, null at the end."""

    credentials: list[CredentialView]
    next: str | None


class NewTokenView(BaseModel):
    """A credential just made. Keep the token now: it can't be read again."""

    credential: CredentialView
    token: str


class TenantRequest(BaseModel):
    """The name becomes part of paths: small letters, digits, - and _."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "north"}]})

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")


class TenantList(BaseModel):
    """Tenants that the credential may know of."""

    tenants: list[str]


def credential_view(credential: Credential) -> CredentialView:
    """What an admin sees of a credential."""
    return CredentialView(
        key_id=credential.key_id,
        kind=credential.kind,
        name=credential.name,
        roles=list(credential.roles),
        devices=list(credential.devices),
        patterns=list(credential.patterns),
        all_devices=credential.all_devices,
        created_at=iso(credential.created_ms),
        created_by=credential.created_by,
        expires_at=iso_or_none(credential.expires_ms),
        revoked_at=iso_or_none(credential.revoked_ms),
        last_used_at=iso_or_none(credential.last_used_ms),
    )


def _token_view(made: NewToken) -> NewTokenView:
    return NewTokenView(credential=credential_view(made.credential), token=made.token)


@router.get("/credentials", summary="List credentials", responses=answers())
def list_credentials(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 100
) -> CredentialPage:
    """Credentials of the tenant, by key id."""
    after = "" if cursor is None else decode_text("credentials", cursor, tenant=principal.tenant)
    found, following = services.credentials.page(principal, after=after, limit=limit)
    return CredentialPage(
        credentials=[credential_view(credential) for credential in found],
        next=None if following is None else encode_cursor("credentials", following, tenant=principal.tenant),
    )


@router.post("/credentials", summary="Make a credential", status_code=201, responses=answers(408, 413, 507))
def create_credential(
    services: ServicesOf, principal: PrincipalOf, wanted: CredentialRequest
) -> NewTokenView:
    """A credential of the tenant; the answer holds its token, this once."""
    new = NewCredential(
        tenant=principal.tenant,
        kind=wanted.kind,
        name=wanted.name,
        roles=tuple(wanted.roles),
        devices=tuple(wanted.devices),
        patterns=tuple(wanted.patterns),
        all_devices=wanted.all_devices,
        expires_ms=_milliseconds(wanted.expires_at),
    )
    return _token_view(services.credentials.create(principal, new))


@router.delete(
    "/credentials/{key_id}", summary="Revoke a credential", status_code=204, responses=answers(404, 409, 507)
)
def revoke_credential(services: ServicesOf, principal: PrincipalOf, key_id: Name) -> None:
    """Ends it for good; asking again changes nothing. The credential in use can't end itself."""
    services.credentials.revoke(principal, key_id)


@router.get("/tenants", summary="List tenants", responses=answers())
def list_tenants(services: ServicesOf, principal: PrincipalOf) -> TenantList:
    """All tenants for admins of the first one, the own one for all others."""
    return TenantList(tenants=list(services.tenants.visible(principal)))


@router.post("/tenants", summary="Make a tenant", status_code=201, responses=answers(408, 409, 413, 507))
def create_tenant(services: ServicesOf, principal: PrincipalOf, wanted: TenantRequest) -> NewTokenView:
    """A tenant with its first admin key, which the answer holds, this once."""
    return _token_view(services.tenants.create(principal, wanted.name))


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
