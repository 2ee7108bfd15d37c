"""People in SQLite, in the file of the tenants and credentials."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

import apsw
import msgspec

from tocsin.access.device_scope import DeviceScope
from tocsin.access.person import NewPerson, Person, PersonChange, check_change, check_person, is_set
from tocsin.access.principal import Principal
from tocsin.access.sessions import SessionStore
from tocsin.clock import Clock
from tocsin.errors import ConflictError, NotFoundError, PreconditionFailedError, UnauthenticatedError
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import Scripts
from tocsin.storage.writer import Writer

_ID_BYTES: Final = 8
_ID_PREFIX: Final = "person_"
_EVERYTHING: Final = DeviceScope((), (), everything=True)


class PeopleStore:
    """Thread-safe. Names are unique within a tenant; nobody is ever removed, so that what they did keeps
    its author, and no new person inherits it with the name. `changed` hears of whoever has become another.

    `tell` of a method hears of a change before it is there; if it raises, nothing has changed.
    """

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        scripts: Scripts,
        clock: Clock,
        name: str,
        sessions: SessionStore,
        changed: Callable[[str], None],
    ) -> None:
        self._writer: Final = writer
        self._readers: Final = readers
        self._queries: Final = scripts.queries
        self._clock: Final = clock
        self._name: Final = name
        self._sessions: Final = sessions
        self._changed: Final = changed

    def create(
        self,
        new: NewPerson,
        *,
        password_hash: str,
        one_time_until_ms: int | None,
        created_by: str,
        tell: Callable[[Person], None],
    ) -> Person:
        """Add a person; ConflictError if the tenant has the name."""
        new = check_person(new)
        person = Person(
            person_id=_ID_PREFIX + secrets.token_hex(_ID_BYTES),
            disabled=False,
            one_time_until_ms=one_time_until_ms,
            revision=1,
            created_ms=self._clock.now_ms(),
            created_by=created_by,
            signed_in_ms=None,
            **msgspec.structs.asdict(new),
        )
        with self._writer.transaction() as writer:
            if self._by_name(writer, new.tenant, new.name) is not None:
                raise ConflictError("There is somebody with this name already.", field="name")
            writer.execute(self._queries["add_person"], _values(person, password_hash))
            tell(person)
        return person

    def one(self, tenant: str, person_id: str) -> Person | None:
        """The person of the tenant, None if there is none."""
        with self._readers.lend() as reader:
            found = self._by_id(reader, tenant, person_id)
        return None if found is None else found[0]

    def required(self, tenant: str, person_id: str) -> tuple[Person, str]:
        """The person and the hash of the password; NotFoundError if there is none."""
        with self._readers.lend() as reader:
            return self._required(reader, tenant, person_id)

    def with_hash(self, tenant: str, name: str) -> tuple[Person, str] | None:
        """Whom a normalised name stands for, and the hash of the password; None if it stands for nobody."""
        with self._readers.lend() as reader:
            return self._by_name(reader, tenant, name)

    def page(self, tenant: str, *, after: str = "", limit: int = 100) -> list[Person]:
        """People of a tenant by name, with names above `after`; disabled ones too."""
        with self._readers.lend() as reader:
            wanted = {"tenant": tenant, "after": after, "limit": limit}
            rows: list[Any] = reader.execute(self._queries["people"], wanted).fetchall()
        return [self._read(row)[0] for row in rows]

    def change(
        self,
        tenant: str,
        person_id: str,
        change: PersonChange,
        *,
        revision: int | None,
        tell: Callable[[Person], None],
    ) -> Person:
        """Change what `change` names; PreconditionFailedError if the revision is another by now.

        Whoever is disabled is signed in nowhere any more.
        """
        asked = check_change(change)
        fields = {name: getattr(asked, name) for name in asked.__struct_fields__ if is_set(asked, name)}
        with self._writer.transaction() as writer:
            person, kept = self._required(writer, tenant, person_id)
            if revision not in {None, person.revision}:
                raise PreconditionFailedError(
                    f"Somebody has changed this meanwhile: read it again, it is at {person.revision} now.",
                    field="If-Match",
                )
            changed = msgspec.structs.replace(person, **fields)
            if changed != person:
                changed = msgspec.structs.replace(changed, revision=person.revision + 1)
                writer.execute(self._queries["put_person"], _values(changed, kept))
                if changed.disabled:
                    self._sessions.drop(writer, person_id)
                tell(changed)
        self._sessions.forget(person_id)
        self._changed(person_id)
        return changed

    def enter(
        self,
        person: Person,
        *,
        password_hash: str,
        address: str,
        agent: str,
        tell: Callable[[Person], None],
    ) -> str:
        """The cookie of a new session for a person whose password has just been proved.

        UnauthenticatedError if the person has changed since: the password may be another by now.
        """
        with self._writer.transaction() as writer:
            now, _ = self._required(writer, person.tenant, person.person_id)
            if now.revision != person.revision or now.disabled:
                raise UnauthenticatedError("You were changed meanwhile: sign in again.")
            now = msgspec.structs.replace(now, signed_in_ms=self._clock.now_ms())
            writer.execute(self._queries["put_person"], _values(now, password_hash))
            cookie = self._sessions.add(writer, person.tenant, person.person_id, address, agent)
            tell(now)
        return cookie

    def set_password(
        self,
        tenant: str,
        person_id: str,
        password_hash: str,
        *,
        one_time_until_ms: int | None,
        revision: int | None,
        but_session: str = "",
        tell: Callable[[Person], None],
    ) -> Person:
        """Replace the password; PreconditionFailedError if the revision is another by now.

        Ends the person's sessions, all `but_session`.
        """
        with self._writer.transaction() as writer:
            person, _ = self._required(writer, tenant, person_id)
            if revision not in {None, person.revision}:
                raise PreconditionFailedError("This person was changed meanwhile: try again.")
            changed = msgspec.structs.replace(
                person, one_time_until_ms=one_time_until_ms, revision=person.revision + 1
            )
            writer.execute(self._queries["put_person"], _values(changed, password_hash))
            self._sessions.drop(writer, person_id, but=but_session)
            tell(changed)
        self._sessions.forget(person_id)
        self._changed(person_id)
        return changed

    def read_row(self, row: tuple[Any, ...], place: str) -> Person:
        """A row of `all_people`; CorruptError where it is altered."""
        return _person(check_row(row, f"{place}: person {row[0]}"))[0]

    def _required(self, connection: apsw.Connection, tenant: str, person_id: str) -> tuple[Person, str]:
        found = self._by_id(connection, tenant, person_id)
        if found is None:
            raise NotFoundError("There is no such person.")
        return found

    def _by_id(self, connection: apsw.Connection, tenant: str, person_id: str) -> tuple[Person, str] | None:
        wanted = {"tenant": tenant, "person_id": person_id}
        row: Any = connection.execute(self._queries["person"], wanted).fetchone()
        return None if row is None else self._read(row)

    def _by_name(self, connection: apsw.Connection, tenant: str, name: str) -> tuple[Person, str] | None:
        wanted = {"tenant": tenant, "name": name}
        row: Any = connection.execute(self._queries["person_by_name"], wanted).fetchone()
        return None if row is None else self._read(row)

    def _read(self, row: tuple[Any, ...]) -> tuple[Person, str]:
        return _person(check_row(row, f"{self._name}: person {row[0]}"))


def is_person(holder: str) -> bool:
    """Whether it is the id of a person; that of a credential has another form."""
    return holder.startswith(_ID_PREFIX)


def principal_of(person: Person) -> Principal:
    """Whom a person who is signed in stands for; for all devices of the tenant, as an API key."""
    return Principal(
        tenant=person.tenant,
        roles=frozenset(person.roles),
        key_id=person.person_id,
        name=person.display_name,
        devices=_EVERYTHING,
        person=person.person_id,
        technician=person.technician,
        must_change=person.one_time_until_ms is not None,
    )


def _person(columns: tuple[Any, ...]) -> tuple[Person, str]:
    *values, kept = columns
    fields = dict(zip(Person.__struct_fields__, values, strict=True))
    fields |= {"roles": msgspec.json.decode(fields["roles"]), "disabled": bool(fields["disabled"])}
    return msgspec.convert(fields, Person), kept


def _values(person: Person, password_hash: str) -> dict[str, Any]:
    values = msgspec.structs.asdict(person) | {"password_hash": password_hash}
    values["roles"] = msgspec.json.encode(person.roles).decode()
    return values
