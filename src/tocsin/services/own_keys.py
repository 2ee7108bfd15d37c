"""Keys that people make for their phones and programs: at most what they may do themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tocsin.access.permissions import SCOPES, Permission, allows, require
from tocsin.access.person_keys import PersonKey
from tocsin.access.principal import Principal, Scope
from tocsin.access.sessions import SignedIn
from tocsin.access.store import AccessStore
from tocsin.clock import Clock
from tocsin.errors import ForbiddenError, InvalidInputError, NotFoundError
from tocsin.services.audit import AuditTrail

DEFAULT_LIFETIME_MS: Final = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `token` can't be read again later."""

    key: PersonKey
    token: str = field(repr=False)


class OwnKeys:
    """A person's own keys need the person, signed in with the password: no key makes, tells or ends another.

    Admins list and revoke those of their tenant's people, and make none in another's name.
    """

    def __init__(self, access: AccessStore, audit: AuditTrail, clock: Clock) -> None:
        self._access: Final = access
        self._audit: Final = audit
        self._clock: Final = clock

    def make(
        self, signed_in: SignedIn | None, *, name: str, scopes: Sequence[Scope], expires_ms: int | None
    ) -> NewKey:
        """A key for as long as asked for, else 90 days. InvalidInputError for a scope beyond one's rights."""
        principal = _person(signed_in)
        beyond = [scope for scope in scopes if not _is_within(principal, scope)]
        if beyond:
            raise InvalidInputError(f"You may not do this yourself: {beyond[0].value}.", field="scopes")
        with self._audit.before(principal, "key.create") as did:
            made = self._access.keys.create(
                principal.tenant,
                principal.person,
                name=name,
                scopes=tuple(scopes),
                expires_ms=self._clock.now_ms() + DEFAULT_LIFETIME_MS if expires_ms is None else expires_ms,
                tell=lambda key: did(key.key_id),
            )
        return NewKey(*made)

    def scopes_for(self, principal: Principal) -> Sequence[Scope]:
        """Those that a key of this person could have."""
        return [scope for scope in Scope if _is_within(principal, scope)]

    def own(self, signed_in: SignedIn | None) -> Sequence[PersonKey]:
        """The newest first, those that are over too."""
        principal = _person(signed_in)
        return self._of(principal.tenant, principal.person)

    def revoke(self, signed_in: SignedIn | None, key_id: str) -> None:
        """End one of the own keys for good, at once; idempotent. NotFoundError if there is none."""
        principal = _person(signed_in)
        self._revoke(principal, principal.person, key_id)

    def of_person(self, principal: Principal, person_id: str) -> Sequence[PersonKey]:
        """Those of a person of the tenant, for admins."""
        self._require_person(principal, person_id)
        return self._of(principal.tenant, person_id)

    def revoke_of(self, principal: Principal, person_id: str, key_id: str) -> None:
        """As `revoke`, of a person of the tenant, for admins."""
        self._require_person(principal, person_id)
        self._revoke(principal, person_id, key_id)

    def _of(self, tenant: str, person_id: str) -> Sequence[PersonKey]:
        self._access.write_last_used()
        return self._access.keys.of(tenant, person_id)

    def _revoke(self, principal: Principal, person_id: str, key_id: str) -> None:
        with self._audit.before(principal, "key.revoke") as did:
            self._access.revoke_key(principal.tenant, person_id, key_id, tell=did)

    def _require_person(self, principal: Principal, person_id: str) -> None:
        require(principal, Permission.ADMINISTER)
        if self._access.people.one(principal.tenant, person_id) is None:
            raise NotFoundError("There is no such person.")


def _person(signed_in: SignedIn | None) -> Principal:
    if signed_in is None or not signed_in.principal.person:
        raise ForbiddenError("Only a person who is signed in has keys of their own.")
    return signed_in.principal


def _is_within(principal: Principal, scope: Scope) -> bool:
    return all(allows(principal, permission) for permission in SCOPES[scope])
