"""People in the access store: one form of a name, revisions, and nobody is ever removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tocsin.access.person import NewPerson, Person, PersonChange
from tocsin.access.principal import Role
from tocsin.access.store import AccessStore
from tocsin.clock import ManualClock
from tocsin.errors import (
    ConflictError,
    CorruptError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    StorageFullError,
)

GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AccessStore]:
    """A store with the tenants a and b."""
    opened = AccessStore(tmp_path / "access.db", ManualClock(1_000_000))
    opened.create_tenant("a", created_by="test")
    opened.create_tenant("b", created_by="test")
    yield opened
    opened.close()


def let_in(store: AccessStore, **changed: Any) -> Person:
    """A technician of tenant a, or what `changed` says."""
    asked = {"tenant": "a", "name": "maria", "display_name": "Maria", "roles": (Role.TECHNICIAN,)} | changed
    return store.people.create(
        NewPerson(**asked),
        password_hash="kept",
        one_time_until_ms=5,
        created_by="k",
        tell=lambda _: None,
    )


def change(store: AccessStore, person: Person, revision: int | None = None, **changed: Any) -> Person:
    return store.people.change(
        person.tenant, person.person_id, PersonChange(**changed), revision=revision, tell=lambda _: None
    )


def test_a_person_is_found_by_id_and_by_name_in_the_own_tenant_alone(store: AccessStore) -> None:
    """What was asked for is what is kept; another tenant sees nothing of it and may have the same name."""
    person = let_in(store, technician=GUID.upper())
    assert person.technician == GUID
    assert store.people.one("a", person.person_id) == person
    assert store.people.with_hash("a", "maria") == (person, "kept")
    assert store.people.one("b", person.person_id) is None
    assert store.people.with_hash("b", "maria") is None
    assert let_in(store, tenant="b").person_id != person.person_id


def test_a_name_has_one_form(store: AccessStore) -> None:
    """Another case or width of the same letters is the same name, and so taken."""
    assert let_in(store, name=" MÜLLER@Example.org ").name == "müller@example.org"
    for taken in ("müller@example.org", "Mu\u0308ller@EXAMPLE.org", "ｍüller@example.org"):
        with pytest.raises(ConflictError) as refused:
            let_in(store, name=taken)
        assert refused.value.field == "name"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "north/maria"}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "a\u202e"}, "name"),
        ({"name": "maria\ufe0f"}, "name"),
        ({"name": "maria\U000e0101"}, "name"),
        ({"name": "\u3164"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"display_name": " "}, "display_name"),
        ({"display_name": "a\nb"}, "display_name"),
        ({"display_name": "\u3164 \ufe0f"}, "display_name"),
        ({"display_name": "\ud800"}, "display_name"),
        ({"display_name": "x" * 129}, "display_name"),
        ({"roles": ()}, "roles"),
        ({"roles": (Role.DEVICE,)}, "roles"),
        ({"technician": "maria"}, "technician"),
        ({"tenant": "../a"}, "tenant"),
    ],
)
def test_wrong_wishes_are_refused(store: AccessStore, changed: dict[str, Any], field: str) -> None:
    """What makes no sense is refused with the field at fault, and nobody was let in."""
    with pytest.raises(InvalidInputError) as caught:
        let_in(store, **changed)
    assert caught.value.field == field
    assert store.people.page("a") == []


def test_a_change_names_the_revision_that_was_read(store: AccessStore) -> None:
    """Who was slower is told so, and nothing of theirs is done; what changes nothing is no revision."""
    person = let_in(store)
    changed = change(store, person, 1, roles=(Role.VIEWER, Role.OPERATOR), technician=GUID)
    assert (changed.revision, changed.roles) == (2, (Role.OPERATOR, Role.VIEWER))
    with pytest.raises(PreconditionFailedError):
        change(store, person, 1, display_name="M.")
    assert change(store, person, 2, display_name="Maria") == changed
    assert store.people.one("a", person.person_id) == changed
    with pytest.raises(NotFoundError):
        store.people.change("b", person.person_id, PersonChange(disabled=True), revision=None, tell=print)


def test_a_change_leaves_what_it_does_not_name(store: AccessStore) -> None:
    """Null takes the technician away; silence leaves it."""
    person = let_in(store, technician=GUID)
    assert change(store, person, disabled=True).technician == GUID
    assert change(store, person, technician=None).technician is None
    assert store.people.with_hash("a", "maria")[1] == "kept"  # type: ignore[index]


def test_a_new_password_is_a_revision(store: AccessStore) -> None:
    """Who hashed for a person that was changed meanwhile has to start again."""
    person = let_in(store)
    of = ("a", person.person_id)
    changed = store.people.set_password(*of, "new", one_time_until_ms=None, revision=1, tell=lambda _: None)
    assert (changed.revision, changed.one_time_until_ms) == (2, None)
    with pytest.raises(PreconditionFailedError):
        store.people.set_password(*of, "late", one_time_until_ms=None, revision=1, tell=lambda _: None)
    assert store.people.with_hash("a", "maria") == (changed, "new")


def test_what_can_t_be_told_is_not_done(store: AccessStore) -> None:
    """A change without its entry in the audit log is none."""

    def refuse(_: Person) -> NoReturn:
        raise StorageFullError("no room")

    person = let_in(store)
    with pytest.raises(StorageFullError):
        store.people.create(
            NewPerson(tenant="a", name="tom", display_name="Tom", roles=(Role.VIEWER,)),
            password_hash="kept",
            one_time_until_ms=None,
            created_by="k",
            tell=refuse,
        )
    with pytest.raises(StorageFullError):
        store.people.change("a", person.person_id, PersonChange(disabled=True), revision=None, tell=refuse)
    assert store.people.page("a") == [person]


def test_people_come_page_by_page_and_outlive_a_restart(store: AccessStore, tmp_path: Path) -> None:
    """By name, from where a page ended."""
    made = [let_in(store, name=name) for name in ("ann", "bob", "cem")]
    assert store.people.page("a", limit=2) == made[:2]
    assert store.people.page("a", after="bob") == made[2:]
    store.close()
    again = AccessStore(tmp_path / "access.db", ManualClock(1_000_000))
    assert again.people.page("a") == made
    again.close()


def test_an_altered_row_is_noticed(store: AccessStore, tmp_path: Path) -> None:
    """A flipped role on the disk makes nobody an admin."""
    person = let_in(store)
    store.close()
    path = tmp_path / "access.db"
    path.write_bytes(path.read_bytes().replace(b'["technician"]', b'["admin"]     '))
    again = AccessStore(tmp_path / "access.db", ManualClock(1_000_000))
    for read in (lambda: again.people.one("a", person.person_id), lambda: again.people.page("a")):
        with pytest.raises(CorruptError, match="person"):
            read()
    assert again.verify() == [f"access.db: person {person.person_id} does not match its hash"]
    again.close()
