"""Sessions of browsers in SQLite, in the file of whom they stand for, with those in use kept in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import apsw
import msgspec

from tocsin import threads
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import NotFoundError, TocsinError, UnauthenticatedError
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import Scripts
from tocsin.storage.writer import Writer

ASKED_AGAIN_S: Final = 1.0
PER_HOLDER_MAX: Final = 100
TEXT_CHARACTERS_MAX: Final = 200
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{43})", re.ASCII)
_NO_DIGEST: Final = bytes(32)  # compared with when there is no such session, so that both take the same time
_CSRF: Final = b"tocsin csrf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long a browser stays signed in: in all, and without being used."""

    whole_ms: int = 7 * 86_400_000
    idle_ms: int = 12 * 3_600_000


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser. `holder` is a person or an API key; `used_ms` is right to about a minute."""

    session_id: str
    tenant: str
    holder: str
    started_ms: int
    used_ms: int
    expires_ms: int
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a cookie stands for now. `csrf` is what a form or script has to say besides."""

    principal: Principal
    session: Session
    csrf: str = field(repr=False)

    def at(self, address: str) -> SignedIn:
        """The same, asking from there now."""
        return replace(self, principal=replace(self.principal, address=address))


@dataclass(slots=True)
class _Known:
    """A session in memory; whether it and its holder are in force is asked again after ASKED_AGAIN_S.

    `used_ms` is when it was last found, which the file learns later.
    """

    session: Session
    digest: bytes
    principal: Principal
    asked_s: float
    used_ms: int = 0


class SessionStore:
    """Thread-safe. A cookie is `<session id>.<256 random bits>`; whoever reads the file can't make one.

    `in_force(tenant, holder)` is the principal that a person or key stands for now, None for neither. What
    ends a session here ends it at once; what another process ends, within a second. At most PER_HOLDER_MAX
    a holder, the oldest go first; at most `known_max` are kept in memory.
    """

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        scripts: Scripts,
        clock: Clock,
        name: str,
        in_force: Callable[[str, str], Principal | None],
        limits: SessionLimits | None = None,
        *,
        known_max: int = 10_000,
    ) -> None:
        self._writer: Final = writer
        self._readers: Final = readers
        self._queries: Final = scripts.queries
        self._clock: Final = clock
        self._name: Final = name
        self._in_force: Final = in_force
        self._known_max: Final = known_max
        self.limits: Final = limits or SessionLimits()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._used: dict[str, int] = {}
        self._endings = 0  # so that what was read before an end is not kept after it
        self._lock = threads.lock()

    def start(self, tenant: str, holder: str, address: str, agent: str) -> str:
        """A cookie for a holder who has just been checked."""
        with self._writer.transaction() as writer:
            return self.add(writer, tenant, holder, address, agent)

    def add(self, writer: apsw.Connection, tenant: str, holder: str, address: str, agent: str) -> str:
        """As `start`, within a transaction of the same file."""
        now_ms = self._clock.now_ms()
        session_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        session = Session(
            session_id=session_id,
            tenant=tenant,
            holder=holder,
            started_ms=now_ms,
            used_ms=now_ms,
            expires_ms=now_ms + self.limits.whole_ms,
            address=_kept(address),
            agent=_kept(agent),
        )
        values = msgspec.structs.asdict(session) | {"secret_sha256": _digest(secret)}
        writer.execute(self._queries["add_session"], values)
        writer.execute(self._queries["drop_oldest_sessions"], {"holder": holder, "most": PER_HOLDER_MAX})
        return f"{session_id}.{secret}"

    def find(self, cookie: str) -> SignedIn:
        """Who the cookie stands for; UnauthenticatedError when it is unknown or over, whatever the reason."""
        match = _FORM.fullmatch(cookie)
        known = self._look_up(match[1]) if match else None
        proven = match is not None and hmac.compare_digest(
            _digest(match[2]), known.digest if known else _NO_DIGEST
        )
        if match is None or known is None or not proven or self._is_over(known.session, known.used_ms):
            raise UnauthenticatedError("Your session is over; sign in again.")
        with self._lock:
            self._used[match[1]] = known.used_ms = self._clock.now_ms()
        return SignedIn(known.principal, known.session, _csrf(match[2]))

    def now(self, signed_in: SignedIn) -> Principal:
        """Whom the session stands for by now, which is no use of it; UnauthenticatedError when it is over."""
        known = self._look_up(signed_in.session.session_id)
        if known is None or self._is_over(known.session, known.used_ms):
            raise UnauthenticatedError("Your session is over; sign in again.")
        return known.principal

    def known(self, cookie: str) -> Principal | None:
        """Who the cookie stands for if it was used lately, else None; may be over. Reads no file."""
        match = _FORM.fullmatch(cookie)
        if match is None:
            return None
        with self._lock:
            known = self._known.get(match[1])
        proven = known is not None and hmac.compare_digest(_digest(match[2]), known.digest)
        return known.principal if known is not None and proven else None

    def of(self, tenant: str, holder: str) -> list[Session]:
        """The sessions of a holder, the newest first, with those that are over left out."""
        self.write_last_used()
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(self._queries["sessions_of"], {"holder": holder}).fetchall()
        found = [self._read(row)[0] for row in rows]
        return [each for each in found if each.tenant == tenant and not self._is_over(each)]

    def end(self, tenant: str, holder: str, session_id: str) -> None:
        """End one session of the holder; NotFoundError if the holder has none of this id."""
        with self._writer.transaction() as writer:
            wanted = {"tenant": tenant, "holder": holder, "session_id": session_id}
            if not writer.execute(self._queries["end_session"], wanted).fetchone():
                raise NotFoundError("There is no such session.")
        with self._lock:
            self._endings += 1
        self._forget(session_id)

    def drop(self, writer: apsw.Connection, holder: str, *, but: str = "") -> None:
        """End all sessions of a holder but one, within a transaction of the same file; then `forget` them."""
        writer.execute(self._queries["end_sessions"], {"holder": holder, "but": but})

    def forget(self, holder: str) -> None:
        """Ask the file again about this holder from the next request on."""
        with self._lock:
            self._endings += 1
            for session_id in [key for key, known in self._known.items() if known.session.holder == holder]:
                del self._known[session_id]

    def write_last_used(self) -> None:
        """Store when sessions were last used, and remove what is over; for a timer."""
        now_ms = self._clock.now_ms()
        over = {"now_ms": now_ms, "idle_since_ms": now_ms - self.limits.idle_ms}
        with self._readers.lend() as reader:
            row: Any = reader.execute(self._queries["sessions_over"], over).fetchone()
        with self._lock:
            used, self._used = self._used, {}
        if not used and row is None:
            return
        try:
            with self._writer.transaction() as writer:
                rows = ({"session_id": key, "ms": ms} for key, ms in used.items())
                writer.executemany(self._queries["session_used"], rows)
                writer.execute(self._queries["drop_sessions_over"], over)
        except TocsinError:
            with self._lock:
                self._used = used | self._used
            raise

    def read_row(self, row: tuple[Any, ...], place: str) -> Session:
        """A row of `all_sessions`; CorruptError where it is altered."""
        return _session(check_row(row, f"{place}: session {row[0]}"))[0]

    def _look_up(self, session_id: str) -> _Known | None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            known = self._known.get(session_id)
            if known is not None and now_s - known.asked_s < ASKED_AGAIN_S:
                self._known.move_to_end(session_id)
                return known
        return self._load(session_id, now_s)

    def _load(self, session_id: str, now_s: float) -> _Known | None:
        with self._lock:
            endings = self._endings
        with self._readers.lend() as reader:
            row: Any = reader.execute(self._queries["session"], {"session_id": session_id}).fetchone()
        session, digest = (None, b"") if row is None else self._read(row)
        principal = None if session is None else self._in_force(session.tenant, session.holder)
        if session is None or principal is None:
            self._forget(session_id)
            return None
        known = _Known(session, digest, principal, now_s)
        with self._lock:
            if endings != self._endings:
                return known
            if (before := self._known.get(session_id)) is not None:
                known.used_ms = before.used_ms
            self._known[session_id] = known
            self._known.move_to_end(session_id)
            while len(self._known) > self._known_max:
                self._known.popitem(last=False)
        return known

    def _is_over(self, session: Session, used_ms: int = 0) -> bool:
        now_ms = self._clock.now_ms()
        with self._lock:
            used_ms = max(used_ms, session.used_ms, self._used.get(session.session_id, 0))
        return now_ms >= session.expires_ms or now_ms >= used_ms + self.limits.idle_ms

    def _forget(self, session_id: str) -> None:
        with self._lock:
            self._known.pop(session_id, None)
            self._used.pop(session_id, None)

    def _read(self, row: tuple[Any, ...]) -> tuple[Session, bytes]:
        return _session(check_row(row, f"{self._name}: session {row[0]}"))


def _session(columns: tuple[Any, ...]) -> tuple[Session, bytes]:
    *values, digest = columns
    return msgspec.convert(dict(zip(Session.__struct_fields__, values, strict=True)), Session), digest


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _csrf(secret: str) -> str:
    """Follows from the cookie, which no script can read, so nothing more is kept."""
    made = hmac.digest(secret.encode(), _CSRF, "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _kept(text: str) -> str:
    safe = text.encode(errors="replace").decode().replace("\0", "?")
    return safe[:TEXT_CHARACTERS_MAX]
