"""Sessions of browsers: a random cookie that stands for a credential, for as long as this process lives."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.errors import UnauthenticatedError

SESSION_COOKIE: Final = "tocsin_session"
CSRF_HEADER: Final = "X-CSRF-Token"
SESSION_S: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `token` is asked for anew at every request, so revoking it ends the session."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    expires_ms: int


class Sessions:
    """At most `sessions_max`; the oldest goes when a new one needs room. Kept in memory only. Thread-safe."""

    def __init__(self, clock: Clock, *, sessions_max: int = 1000) -> None:
        self._clock = clock
        self._sessions_max = sessions_max
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threads.lock()

    def start(self, token: str) -> str:
        """A new cookie for a credential that has just been checked."""
        cookie = secrets.token_urlsafe(32)
        session = Session(token, secrets.token_urlsafe(32), self._clock.now_ms() + SESSION_S * 1000)
        with self._lock:
            self._sessions[cookie] = session
            while len(self._sessions) > self._sessions_max:
                self._sessions.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> Session:
        """The session of a cookie; UnauthenticatedError when it is unknown or over."""
        with self._lock:
            session = self._sessions.get(cookie)
        if session is None or session.expires_ms <= self._clock.now_ms():
            self.end(cookie)
            raise UnauthenticatedError("Your session is over; sign in again.")
        return session

    def end(self, cookie: str) -> None:
        """Forget a cookie; idempotent."""
        with self._lock:
            self._sessions.pop(cookie, None)


def csrf_matches(session: Session, given: str | None) -> bool:
    """Whether `given` is the session's token against forged forms; takes the same time either way."""
    return given is not None and hmac.compare_digest(session.csrf.encode(), given.encode())
