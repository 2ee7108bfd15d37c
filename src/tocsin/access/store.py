"""Tenants and credentials in SQLite, with what is in use kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin import threads
from tocsin.access.credential import Credential, CredentialKind, NewCredential, check_new, check_tenant
from tocsin.access.device_scope import DeviceScope
from tocsin.access.people import PeopleStore, is_person, principal_of
from tocsin.access.person_keys import PersonKeyStore
from tocsin.access.principal import Principal, Role
from tocsin.access.sessions import SessionLimits, SessionStore
from tocsin.access.token import Token
from tocsin.clock import Clock
from tocsin.errors import (
    ConflictError,
    NotFoundError,
    StorageFullError,
    StorageUnavailableError,
    TocsinError,
    UnauthenticatedError,
)
from tocsin.observability.logging import get_logger
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

DEFAULT_TENANT: Final = "default"
REVOCATION_S: Final = 1.0
_log: Final = get_logger("access")
_SCRIPTS: Final = load_scripts("tocsin.access", "credentials")
_QUERIES: Final = _SCRIPTS.queries
_LISTS: Final = ("roles", "devices", "patterns")
# compared with when the key id is unknown, so that both cases take the same time
_NO_DIGEST: Final = bytes(32)


@dataclass(slots=True)
class _Known:
    """A credential in memory; whether it was revoked is asked again after REVOCATION_S."""

    principal: Principal
    digest: bytes
    expires_ms: int | None
    revoked: bool
    asked_s: float

    @property
    def devices(self) -> int:
        """How many devices it names, and so what it costs to keep."""
        return len(self.principal.devices.devices)


def _nobody(_: Credential) -> None:
    """Nobody is to hear of it."""


class AccessStore:
    """Thread-safe. At most `known_max` credentials, naming at most `devices_max` devices together, are
    kept in memory; the least recently used go first.

    A credential revoked here ends at once; one revoked by another process within a second.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        known_max: int = 10_000,
        devices_max: int = 1_000_000,
        sessions: SessionLimits | None = None,
        vfs: str | None = None,
    ) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._clock = clock
        self._known_max = known_max
        self._devices_max = devices_max
        self._devices = 0
        self._writer = Writer(path, _SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        parts = (self._writer, self._readers, _SCRIPTS, clock, path.name)
        self.sessions: Final = SessionStore(*parts, self.in_force, sessions)
        """Which browsers are signed in, in the same file."""
        self.people: Final = PeopleStore(*parts, self.sessions, self._forget_keys_of)
        """Who signs in with a password, in the same file."""
        self.keys: Final = PersonKeyStore(*parts)
        """Keys that people made, in the same file; `revoke_key` ends one."""
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._used: dict[str, int] = {}
        self._ended = 0
        self._lock = threads.lock()
        self._closed = False

    def authenticate(self, token: str) -> Principal:
        """Who holds the token; UnauthenticatedError if it is unknown, expired or revoked.

        The answer to all of these is the same, so that nobody learns which key ids exist.
        """
        parsed = Token.parse(token)
        known = self._look_up(parsed.key_id) if parsed else None
        proven = parsed is not None and parsed.proves(known.digest if known else _NO_DIGEST)
        if known is None or not proven or known.revoked or self._expired(known):
            raise UnauthenticatedError("the credential is unknown, expired or revoked")
        with self._lock:
            self._used[known.principal.key_id] = self._clock.now_ms()
        return known.principal

    def known(self, token: str) -> Principal | None:
        """Who holds the token if it was used lately, else None; may be expired or revoked. Reads no file."""
        parsed = Token.parse(token)
        if parsed is None:
            return None
        with self._lock:
            known = self._known.get(parsed.key_id)
        return known.principal if known is not None and parsed.proves(known.digest) else None

    def holder(self, tenant: str, key_id: str) -> Principal | None:
        """Whom a credential or person of the tenant stands for, also when it is no longer in force; None if
        there is none.
        """
        if is_person(key_id):
            person = self.people.one(tenant, key_id)
            return None if person is None else principal_of(person)
        known = self._look_up(key_id)
        return known.principal if known is not None and known.principal.tenant == tenant else None

    def in_force(self, tenant: str, holder: str) -> Principal | None:
        """Whom a person or key stands for now; None when it has been disabled, revoked, or is over."""
        if is_person(holder):
            person = self.people.one(tenant, holder)
            return None if person is None or person.disabled else principal_of(person)
        known = self._look_up(holder)
        if known is None or known.revoked or self._expired(known) or known.principal.tenant != tenant:
            return None
        with self._lock:
            self._used[holder] = self._clock.now_ms()
        return known.principal

    def create(
        self, new: NewCredential, *, created_by: str, tell: Callable[[Credential], None] = _nobody
    ) -> tuple[Credential, str]:
        """A new credential and its token, which can't be read again later.

        `tell` hears of it before it is there; if it raises, nothing was made.
        """
        new = check_new(new, self._clock.now_ms())
        with self._writer.transaction() as writer:
            if not writer.execute(_QUERIES["tenant"], {"name": new.tenant}).fetchone():
                raise NotFoundError(f"there is no tenant {new.tenant}")
            made = self._insert(writer, new, created_by)
            tell(made[0])
        return made

    def revoke(self, tenant: str, key_id: str) -> None:
        """End a credential for good; idempotent. NotFoundError if the tenant has none of this id."""
        with self._writer.transaction() as writer:
            wanted = {"tenant": tenant, "key_id": key_id, "now_ms": self._clock.now_ms()}
            if not writer.execute(_QUERIES["revoke"], wanted).fetchone():
                raise NotFoundError("there is no such credential")
            self.sessions.drop(writer, key_id)
        with self._lock:
            self._ended += 1
            self._forget(key_id)
        self.sessions.forget(key_id)

    def revoke_key(self, tenant: str, person_id: str, key_id: str, *, tell: Callable[[str], None]) -> None:
        """End a key that a person made, at once; as PersonKeyStore.revoke."""
        self.keys.revoke(tenant, person_id, key_id, tell=tell)
        with self._lock:
            self._ended += 1
            self._forget(key_id)

    def credentials(self, tenant: str, *, after: str = "", limit: int = 100) -> list[Credential]:
        """Credentials of a tenant by key id, revoked ones too, key ids above `after`."""
        self.write_last_used()
        with self._readers.lend() as reader:
            wanted = {"tenant": tenant, "after": after, "limit": limit}
            rows: list[Any] = reader.execute(_QUERIES["list"], wanted).fetchall()
        return [_credential(row) for row in rows]

    def create_tenant(
        self, name: str, *, created_by: str, tell: Callable[[Credential], None] = _nobody
    ) -> tuple[Credential, str]:
        """Add a tenant and its first admin key, or neither; ConflictError if it exists.

        `tell` as in `create`.
        A tenant without a key could never get one: only its own admins make its credentials.
        """
        check_tenant(name)
        with self._writer.transaction() as writer:
            self._add_tenant(writer, name)
            made = self._insert_admin(writer, name, created_by)
            tell(made[0])
        return made

    def tenants(self) -> list[str]:
        """All tenants by name."""
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES["tenants"]).fetchall()
        return [row[0] for row in rows]

    def bootstrap_admin(self) -> str | None:
        """At the very first start: make the tenant `default` and an admin key; its token, else None.

        There is no default secret: whoever starts Tocsin sees this token once and must keep it.
        """
        with self._writer.transaction() as writer:
            row: Any = writer.execute(_QUERIES["any"]).fetchone()
            if row[0]:
                return None
            if not writer.execute(_QUERIES["tenant"], {"name": DEFAULT_TENANT}).fetchone():
                self._add_tenant(writer, DEFAULT_TENANT)
            return self._insert_admin(writer, DEFAULT_TENANT, "first start")[1]

    def write_last_used(self) -> None:
        """Store when credentials and sessions were last used; for a timer, since requests must not wait."""
        self.sessions.write_last_used()
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        try:
            with self._writer.transaction() as writer:
                writer.executemany(_QUERIES["used"], ({"key_id": key, "ms": ms} for key, ms in used.items()))
                self.keys.used(writer, used)
        except TocsinError:
            with self._lock:
                self._used = used | self._used
            raise

    def close(self) -> None:
        """Close; idempotent. When the disk is full, it is not stored who was seen in the last minute."""
        if not self._closed:
            self._closed = True
            try:
                self.write_last_used()
            except (StorageFullError, StorageUnavailableError) as error:
                _log.warning("last_used_lost", error=error.detail)
            self._readers.close()
            self._writer.close()

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "all_tenants": lambda row, place: check_row(row, f"{place}: tenant {row[0]}"),
            "all_credentials": lambda row, place: check_row(row, f"{place}: credential {row[0]}"),
            "all_people": self.people.read_row,
            "all_sessions": self.sessions.read_row,
            "all_person_keys": self.keys.read_row,
        }
        return verify_rows(self._readers, self._name, reads, _QUERIES)

    def _look_up(self, key_id: str) -> _Known | None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            known = self._known.get(key_id)
            if known is not None:
                self._known.move_to_end(key_id)
        if known is None:
            return self._load(key_id, now_s)
        if known.principal.person and now_s - known.asked_s >= REVOCATION_S:
            return self._load(key_id, now_s)  # the person may be another by now
        if now_s - known.asked_s >= REVOCATION_S:
            with self._readers.lend() as reader:
                row: Any = reader.execute(_QUERIES["revoked"], {"key_id": key_id}).fetchone()
            known.revoked = row is None or row[0] is not None
            known.asked_s = now_s
        return known

    def _load(self, key_id: str, now_s: float) -> _Known | None:
        ended = self._ended
        with self._readers.lend() as reader:
            row: Any = reader.execute(_QUERIES["find"], {"key_id": key_id}).fetchone()
        if row is None:
            known = self._key_of_person(key_id, now_s)
            if known is None:
                return None
        else:
            *columns, digest = check_row(row, f"{self._name}: credential {key_id}")
            credential = _credential(tuple(columns))
            revoked = credential.revoked_ms is not None
            known = _Known(_principal(credential), digest, credential.expires_ms, revoked, now_s)
        return self._remember(key_id, known, ended)

    def _key_of_person(self, key_id: str, now_s: float) -> _Known | None:
        """A key that a person made, with what the person may do now."""
        found = self.keys.find(key_id)
        person = None if found is None else self.people.one(found[0].tenant, found[0].person_id)
        if found is None or person is None:
            return None
        key, digest = found
        principal = replace(
            principal_of(person),
            key_id=key_id,
            name=f"{person.display_name}: {key.name}",
            scopes=frozenset(key.scopes),
        )
        return _Known(principal, digest, key.expires_ms, key.revoked_ms is not None or person.disabled, now_s)

    def _forget_keys_of(self, person_id: str) -> None:
        with self._lock:
            self._ended += 1
            for key_id in [key for key, known in self._known.items() if known.principal.person == person_id]:
                self._forget(key_id)

    def _remember(self, key_id: str, known: _Known, ended: int) -> _Known:
        """Keep it, unless something has ended since it was read: then it may be what has."""
        with self._lock:
            if self._ended != ended:
                return known
            self._forget(key_id)
            self._known[key_id] = known
            self._devices += known.devices
            while len(self._known) > 1 and self._is_too_much():
                self._forget(next(iter(self._known)))
        return known

    def _is_too_much(self) -> bool:
        return len(self._known) > self._known_max or self._devices > self._devices_max

    def _forget(self, key_id: str) -> None:
        known = self._known.pop(key_id, None)
        self._devices -= known.devices if known else 0

    def _expired(self, known: _Known) -> bool:
        return known.expires_ms is not None and known.expires_ms <= self._clock.now_ms()

    def _add_tenant(self, writer: apsw.Connection, name: str) -> None:
        if writer.execute(_QUERIES["tenant"], {"name": name}).fetchone():
            raise ConflictError(f"the tenant {name} exists already", field="tenant")
        writer.execute(_QUERIES["add_tenant"], {"name": name, "created_ms": self._clock.now_ms()})

    def _insert_admin(self, writer: apsw.Connection, tenant: str, created_by: str) -> tuple[Credential, str]:
        new = NewCredential(
            tenant=tenant, kind=CredentialKind.API_KEY, name="first admin", roles=(Role.ADMIN,)
        )
        return self._insert(writer, check_new(new, self._clock.now_ms()), created_by)

    def _insert(self, writer: apsw.Connection, new: NewCredential, created_by: str) -> tuple[Credential, str]:
        token = Token.generate()
        credential = Credential(
            key_id=token.key_id,
            created_ms=self._clock.now_ms(),
            created_by=created_by,
            revoked_ms=None,
            last_used_ms=None,
            **msgspec.structs.asdict(new),
        )
        values = msgspec.structs.asdict(credential) | {"secret_sha256": token.digest}
        values |= {name: msgspec.json.encode(values[name]).decode() for name in _LISTS}
        writer.execute(_QUERIES["add"], values)
        return credential, token.text


def _credential(row: tuple[Any, ...]) -> Credential:
    values = dict(zip(Credential.__struct_fields__, row, strict=True))
    values |= {name: msgspec.json.decode(values[name]) for name in _LISTS}
    values["all_devices"] = bool(values["all_devices"])
    return msgspec.convert(values, Credential)


def _principal(credential: Credential) -> Principal:
    scope = DeviceScope(credential.devices, credential.patterns, everything=credential.all_devices)
    roles = frozenset(credential.roles)
    return Principal(credential.tenant, roles, credential.key_id, credential.name, scope)
