"""Credentials and tenants, made and ended by admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.access.credential import Credential, NewCredential
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.access.store import DEFAULT_TENANT, AccessStore
from tocsin.errors import ConflictError, ForbiddenError
from tocsin.services.audit import AuditTrail

PAGE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class NewToken:
    """A credential just made; `token` can't be read again later."""

    credential: Credential
    token: str


class Credentials:
    """Works within the principal's tenant, whatever is asked for."""

    def __init__(self, access: AccessStore, audit: AuditTrail) -> None:
        self._access = access
        self._audit = audit

    def page(
        self, principal: Principal, *, after: str, limit: int
    ) -> tuple[Sequence[Credential], str | None]:
        """Credentials by key id, revoked ones too, and the key id to go on after, None at the end."""
        require(principal, Permission.ADMINISTER)
        limit = min(limit, PAGE_MAX)
        found = self._access.credentials(principal.tenant, after=after, limit=limit + 1)
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].key_id)

    def create(self, principal: Principal, new: NewCredential) -> NewToken:
        """A credential of the principal's tenant, whatever tenant `new` names."""
        require(principal, Permission.ADMINISTER)
        own = msgspec.structs.replace(new, tenant=principal.tenant)
        with self._audit.before(principal, "credential.create") as did:
            made = self._access.create(
                own, created_by=principal.key_id, tell=lambda credential: did(credential.key_id)
            )
        return NewToken(*made)

    def revoke(self, principal: Principal, key_id: str) -> None:
        """End a credential for good; idempotent. NotFoundError if the tenant has none of this id.

        ConflictError for the one in use, so that no admin locks the tenant out by mistake.
        """
        require(principal, Permission.ADMINISTER)
        if key_id == principal.key_id:
            raise ConflictError("This is the credential in use; revoke it with another one.")
        self._access.revoke(principal.tenant, key_id)
        self._audit.did(principal, "credential.revoke", key_id)


class Tenants:
    """Tenants are made by the admins of the first one, who run the installation."""

    def __init__(self, access: AccessStore, audit: AuditTrail) -> None:
        self._access = access
        self._audit = audit

    def visible(self, principal: Principal) -> Sequence[str]:
        """All tenants for those who run the installation, for any other admin the own one."""
        require(principal, Permission.ADMINISTER)
        return self._access.tenants() if principal.tenant == DEFAULT_TENANT else [principal.tenant]

    def create(self, principal: Principal, name: str) -> NewToken:
        """A tenant with its first admin key; ConflictError if it exists."""
        require(principal, Permission.ADMINISTER)
        if principal.tenant != DEFAULT_TENANT:
            raise ForbiddenError(f"Tenants are made by admins of the tenant {DEFAULT_TENANT}.")
        with self._audit.before(principal, "tenant.create") as did:
            made = self._access.create_tenant(name, created_by=principal.key_id, tell=lambda _: did(name))
        return NewToken(*made)
