"""Whom work can be given to: the people of the own tenant, by the names that they sign in with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tocsin.access.people import PeopleStore
from tocsin.access.permissions import TABLE, Permission, require
from tocsin.access.person import Person, normalised_name
from tocsin.access.principal import Principal
from tocsin.access.store import DEFAULT_TENANT

OFFERED_MAX: Final = 200


class Colleagues:
    """For everybody who reads: names alone, nothing else of a person."""

    def __init__(self, people: PeopleStore) -> None:
        self._people: Final = people

    def offered(self, principal: Principal) -> Sequence[tuple[str, str]]:
        """Names and shown names of people who act on anomalies, by name; the first OFFERED_MAX."""
        require(principal, Permission.READ)
        found = self._people.page(principal.tenant, limit=OFFERED_MAX)
        return [(person.name, person.display_name) for person in found if acts(person)]

    def shown(self, principal: Principal, assignees: Iterable[str | None]) -> Mapping[str, str]:
        """By assignee, the name that people know; those who are nobody here are left out."""
        require(principal, Permission.READ)
        wanted = {assignee for assignee in assignees if assignee}
        found = {assignee: self._people.with_hash(principal.tenant, assignee) for assignee in wanted}
        return {assignee: each[0].display_name for assignee, each in found.items() if each is not None}

    def own_name(self, principal: Principal) -> str | None:
        """The name that work is given to for who asks; None for a program."""
        if not principal.person:
            return None
        return self._people.required(principal.tenant, principal.person)[0].name

    def sign_in_name(self, principal: Principal) -> str | None:
        """What who asks has to enter to sign in; None for a program."""
        name = self.own_name(principal)
        return name if name is None or principal.tenant == DEFAULT_TENANT else f"{principal.tenant}/{name}"

    def named(self, tenant: str, text: str) -> Person | None:
        """Whom somebody means, by any spelling of the name; None where it is nobody's."""
        found = self._people.with_hash(tenant, normalised_name(text))
        return None if found is None else found[0]


def acts(person: Person) -> bool:
    """Whether the person may act on anomalies."""
    return not person.disabled and any(Permission.HANDLE in TABLE[role] for role in person.roles)
