"""Keys that people made for their programs, in SQLite, in the file of the people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw
import msgspec

from tocsin.access.principal import Scope
from tocsin.access.token import Token
from tocsin.clock import Clock
from tocsin.errors import ConflictError, InvalidInputError, NotFoundError
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import Scripts
from tocsin.storage.writer import Writer

KEYS_MAX: Final = 20
"""How many of a person may be in force at once."""
LIFETIME_MS_MAX: Final = 400 * 86_400_000
NAME_CHARACTERS_MAX: Final = 128
_KEPT_MAX: Final = 100


class PersonKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept; its secret is known to nobody but its holder.

    `last_used_ms` is right to about a minute. Times are milliseconds since 1970, UTC.
    """

    key_id: str
    tenant: str
    person_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_ms: int
    expires_ms: int
    revoked_ms: int | None
    last_used_ms: int | None


class PersonKeyStore:
    """Thread-safe. Of more than 100 keys of a person the oldest that are over are forgotten.

    `tell` of a method hears of a change before it is there; if it raises, nothing has changed.
    """

    def __init__(self, writer: Writer, readers: Readers, scripts: Scripts, clock: Clock, name: str) -> None:
        self._writer: Final = writer
        self._readers: Final = readers
        self._queries: Final = scripts.queries
        self._clock: Final = clock
        self._name: Final = name

    def create(
        self,
        tenant: str,
        person_id: str,
        *,
        name: str,
        scopes: tuple[Scope, ...],
        expires_ms: int,
        tell: Callable[[PersonKey], None],
    ) -> tuple[PersonKey, str]:
        """A new key and its token, which can't be read again later; ConflictError beyond KEYS_MAX."""
        token, now_ms = Token.generate(), self._clock.now_ms()
        key = PersonKey(
            key_id=token.key_id,
            tenant=tenant,
            person_id=person_id,
            name=_checked_name(name),
            scopes=_checked_scopes(scopes),
            created_ms=now_ms,
            expires_ms=_checked_end(expires_ms, now_ms),
            revoked_ms=None,
            last_used_ms=None,
        )
        values = msgspec.structs.asdict(key) | {"secret_sha256": token.digest}
        values["scopes"] = msgspec.json.encode(key.scopes).decode()
        whose: dict[str, Any] = {"person_id": person_id, "now_ms": now_ms}
        with self._writer.transaction() as writer:
            row: Any = writer.execute(self._queries["keys_in_force"], whose).fetchone()
            if row[0] >= KEYS_MAX:
                raise ConflictError(f"{KEYS_MAX} keys are in force: revoke one that is not needed any more.")
            writer.execute(self._queries["add_person_key"], values)
            writer.execute(self._queries["drop_old_person_keys"], whose | {"most": _KEPT_MAX})
            tell(key)
        return key, token.text

    def of(self, tenant: str, person_id: str) -> list[PersonKey]:
        """The person's keys, the newest first, those that are over too."""
        wanted = {"tenant": tenant, "person_id": person_id}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(self._queries["keys_of_person"], wanted).fetchall()
        return [self._read(row)[0] for row in rows]

    def revoke(self, tenant: str, person_id: str, key_id: str, *, tell: Callable[[str], None]) -> None:
        """End a key for good; idempotent. NotFoundError if the person has none of this id."""
        wanted = {
            "tenant": tenant,
            "person_id": person_id,
            "key_id": key_id,
            "now_ms": self._clock.now_ms(),
        }
        with self._writer.transaction() as writer:
            if not writer.execute(self._queries["revoke_person_key"], wanted).fetchone():
                raise NotFoundError("There is no such key.")
            tell(key_id)

    def find(self, key_id: str) -> tuple[PersonKey, bytes] | None:
        """A key and the hash of its secret, also when it is over; None if there is none."""
        with self._readers.lend() as reader:
            row: Any = reader.execute(self._queries["person_key"], {"key_id": key_id}).fetchone()
        return None if row is None else self._read(row)

    def used(self, writer: apsw.Connection, used: dict[str, int]) -> None:
        """Store when keys were last used, within a transaction of the same file."""
        rows = ({"key_id": key, "ms": ms} for key, ms in used.items())
        writer.executemany(self._queries["person_key_used"], rows)

    def read_row(self, row: tuple[Any, ...], place: str) -> PersonKey:
        """A row of `all_person_keys`; CorruptError where it is altered."""
        return _key(check_row(row, f"{place}: key {row[0]}"))[0]

    def _read(self, row: tuple[Any, ...]) -> tuple[PersonKey, bytes]:
        return _key(check_row(row, f"{self._name}: key {row[0]}"))


def _key(columns: tuple[Any, ...]) -> tuple[PersonKey, bytes]:
    *values, digest = columns
    fields = dict(zip(PersonKey.__struct_fields__, values, strict=True))
    fields["scopes"] = msgspec.json.decode(fields["scopes"])
    return msgspec.convert(fields, PersonKey), digest


def _checked_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise InvalidInputError(
            f"A name has 1 to {NAME_CHARACTERS_MAX} characters that can be seen.", field="name"
        )
    return name


def _checked_scopes(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not scopes:
        raise InvalidInputError("Name at least one scope.", field="scopes")
    return tuple(sorted(set(scopes)))


def _checked_end(expires_ms: int, now_ms: int) -> int:
    if not now_ms < expires_ms <= now_ms + LIFETIME_MS_MAX:
        raise InvalidInputError("A key ends in the future, and within 400 days.", field="expires_at")
    return expires_ms
