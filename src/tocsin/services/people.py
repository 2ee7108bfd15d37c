"""People, as admins let them in and as each sees to the own password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import UNSET

from tocsin.access.passwords import Passwords, one_time_password
from tocsin.access.people import PeopleStore
from tocsin.access.permissions import Permission, require
from tocsin.access.person import NewPerson, Person, PersonChange, check_person, normalised_name
from tocsin.access.principal import Principal, Role
from tocsin.clock import Clock
from tocsin.errors import ConflictError, NotFoundError
from tocsin.services.audit import AuditTrail
from tocsin.threads import Future

PAGE_MAX: Final = 200
ONE_TIME_MS: Final = 7 * 86_400_000
"""How long a password that an admin has set can be used."""


@dataclass(frozen=True, slots=True)
class Invited:
    """A person and a password that has to be replaced at the first sign-in; it can't be read again later."""

    person: Person
    password: str = field(repr=False)


class People:
    """Works within the principal's tenant. What returns a future hashes a password meanwhile."""

    def __init__(self, people: PeopleStore, passwords: Passwords, audit: AuditTrail, clock: Clock) -> None:
        self._people: Final = people
        self._passwords: Final = passwords
        self._audit: Final = audit
        self._clock: Final = clock

    def page(self, principal: Principal, *, after: str, limit: int) -> tuple[Sequence[Person], str | None]:
        """People by name, disabled ones too, and the name to go on after, None at the end."""
        require(principal, Permission.ADMINISTER)
        limit = min(limit, PAGE_MAX)
        found = self._people.page(principal.tenant, after=after, limit=limit + 1)
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].name)

    def named(self, principal: Principal, name: str) -> Sequence[Person]:
        """The one person with that name, or nobody."""
        require(principal, Permission.ADMINISTER)
        found = self._people.with_hash(principal.tenant, normalised_name(name))
        return [] if found is None else [found[0]]

    def one(self, principal: Principal, person_id: str) -> Person:
        """A person of the tenant; NotFoundError if there is none."""
        require(principal, Permission.ADMINISTER)
        return self._required(principal, person_id)

    def create(self, principal: Principal, new: NewPerson) -> Future[Invited]:
        """Let somebody in, with a one-time password; ConflictError if the name is taken."""
        require(principal, Permission.ADMINISTER)
        own = check_person(new)

        def work() -> Invited:
            password = one_time_password()
            with self._audit.before(principal, "person.create") as did:
                person = self._people.create(
                    own,
                    password_hash=self._passwords.hash(password),
                    one_time_until_ms=self._one_time_until_ms(),
                    created_by=principal.key_id,
                    tell=lambda made: did(made.person_id),
                )
            return Invited(person, password)

        return self._passwords.submit(principal.tenant, work)

    def change(
        self, principal: Principal, person_id: str, change: PersonChange, *, revision: int | None
    ) -> Person:
        """Change what `change` names; ConflictError for what would lock the admin out who asks."""
        require(principal, Permission.ADMINISTER)
        if person_id == principal.key_id:
            _require_no_lockout(change)
        with self._audit.before(principal, f"person.{_deed(change)}") as did:
            return self._people.change(
                principal.tenant,
                person_id,
                change,
                revision=revision,
                tell=lambda changed: did(changed.person_id),
            )

    def invite(self, principal: Principal, person_id: str) -> Future[Invited]:
        """A new one-time password in place of whatever the person had."""
        require(principal, Permission.ADMINISTER)
        self._required(principal, person_id)

        def work() -> Invited:
            password = one_time_password()
            with self._audit.before(principal, "person.invite") as did:
                person = self._people.set_password(
                    principal.tenant,
                    person_id,
                    self._passwords.hash(password),
                    one_time_until_ms=self._one_time_until_ms(),
                    revision=None,
                    tell=lambda changed: did(changed.person_id),
                )
            return Invited(person, password)

        return self._passwords.submit(principal.tenant, work)

    def _required(self, principal: Principal, person_id: str) -> Person:
        person = self._people.one(principal.tenant, person_id)
        if person is None:
            raise NotFoundError("There is no such person.")
        return person

    def _one_time_until_ms(self) -> int:
        return self._clock.now_ms() + ONE_TIME_MS


def _deed(change: PersonChange) -> str:
    if change.disabled is UNSET:
        return "change"
    return "disable" if change.disabled else "enable"


def _require_no_lockout(change: PersonChange) -> None:
    if change.disabled is True:
        raise ConflictError("You can't disable yourself; another admin can.", field="disabled")
    if isinstance(change.roles, tuple) and Role.ADMIN not in change.roles:
        raise ConflictError("You can't take the role admin from yourself; another admin can.", field="roles")
