"""The technicians of the demo as people: each has a name and a password while the demo runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tocsin.access.passwords import one_time_password
from tocsin.access.person import NewPerson, PersonChange
from tocsin.access.principal import Role
from tocsin.cli.opened import TENANT

if TYPE_CHECKING:
    from tocsin.bootstrap import Application

_NAMES: Final = ("anna", "ben")
_BY: Final = "demo"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Who can sign in, and with what."""

    name: str
    password: str
    technician: str


@contextmanager
def demo_people(application: Application, technicians: Sequence[str]) -> Iterator[Sequence[DemoPerson]]:
    """A person for each technician, with a new password each time; nobody can sign in with it afterwards.

    Somebody of that name whom the demo has not let in is left alone, and not among them.
    """
    found = {name: _let_in(application, name, guid) for name, guid in zip(_NAMES, technicians, strict=False)}
    try:
        yield [person for _, person in filter(None, found.values())]
    finally:
        for person_id, _ in filter(None, found.values()):
            _change(application, person_id, PersonChange(disabled=True))


def _let_in(application: Application, name: str, technician: str) -> tuple[str, DemoPerson] | None:
    people, password = application.access.people, one_time_password()
    kept = application.passwords.hash(password)
    before = people.with_hash(TENANT, name)
    if before is None:
        new = NewPerson(
            tenant=TENANT,
            name=name,
            display_name=name.capitalize(),
            roles=(Role.TECHNICIAN,),
            technician=technician,
        )
        made = people.create(
            new, password_hash=kept, one_time_until_ms=None, created_by=_BY, tell=lambda _: None
        )
        return made.person_id, DemoPerson(name, password, technician)
    person_id = before[0].person_id
    if before[0].created_by != _BY:
        return None
    _change(application, person_id, PersonChange(disabled=False, technician=technician))
    people.set_password(TENANT, person_id, kept, one_time_until_ms=None, revision=None, tell=lambda _: None)
    return person_id, DemoPerson(name, password, technician)


def _change(application: Application, person_id: str, change: PersonChange) -> None:
    application.access.people.change(TENANT, person_id, change, revision=None, tell=lambda _: None)
