"""The technicians of the demo sign in while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.access.person import NewPerson
from tocsin.access.principal import Role
from tocsin.bootstrap import Application
from tocsin.cli.demo_people import DemoPerson, demo_people
from tocsin.cli.opened import config_of
from tocsin.errors import UnauthenticatedError
from tocsin.services.sessions import Place

GUIDS = ["6f9619ff-8b86-4011-b42d-00c04fc964ff", "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10"]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made = Application(config_of(None, tmp_path, http_port=0))
    made.bootstrap_admin()
    yield made
    made.stop()


def enter(application: Application, person: DemoPerson) -> bool:
    """Whether the password lets somebody in who need not choose another one."""
    sessions = application.services.sessions
    return not sessions.by_password(person.name, person.password, Place("127.0.0.1", "")).result().must_change


def test_each_technician_signs_in_until_the_demo_ends(application: Application) -> None:
    """As the technician that the directory knows; the next start has other passwords."""
    with demo_people(application, GUIDS) as first:
        assert [(each.name, each.technician) for each in first] == [("anna", GUIDS[0]), ("ben", GUIDS[1])]
        assert all(enter(application, each) for each in first)
    for each in first:
        with pytest.raises(UnauthenticatedError):
            enter(application, each)
    with demo_people(application, GUIDS) as second:
        assert all(enter(application, each) for each in second)
        with pytest.raises(UnauthenticatedError):
            enter(application, first[0])


def test_somebody_of_that_name_is_left_alone(application: Application) -> None:
    """The folder may be a real one: nobody's password is replaced."""
    own = NewPerson(tenant="default", name="anna", display_name="Anna", roles=(Role.VIEWER,))
    people = application.access.people
    kept = application.passwords.hash("the bell rings at noon")
    made = people.create(own, password_hash=kept, one_time_until_ms=None, created_by="x", tell=lambda _: None)
    with demo_people(application, GUIDS) as found:
        assert [each.name for each in found] == ["ben"]
    assert people.required("default", made.person_id) == (made, kept)
