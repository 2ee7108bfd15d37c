"""Signing in and out of a browser: by name and password, or with an API key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tocsin.access.attempts import AttemptLimits, Attempts
from tocsin.access.passwords import Passwords, check_password
from tocsin.access.people import principal_of
from tocsin.access.permissions import Permission, require
from tocsin.access.person import Person, tenant_and_name
from tocsin.access.principal import Principal
from tocsin.access.sessions import Session, SignedIn
from tocsin.access.store import DEFAULT_TENANT, AccessStore
from tocsin.clock import Clock
from tocsin.errors import (
    BackpressureError,
    ForbiddenError,
    InvalidInputError,
    PasswordChangeRequiredError,
    UnauthenticatedError,
)
from tocsin.services.addresses import network_of
from tocsin.services.audit import AuditTrail
from tocsin.threads import Future

Result = TypeVar("Result")
SESSION_COOKIE: Final = "tocsin_session"
CSRF_HEADER: Final = "X-CSRF-Token"
OF_A_NETWORK: Final = AttemptLimits(burst=50, refill_s=5.0)
OF_A_NAME_THERE: Final = AttemptLimits(burst=5, refill_s=30.0)
OF_A_NAME: Final = AttemptLimits(burst=30, refill_s=60.0)
"""A name has more attempts from everywhere than from one network: a stranger must not lock its owner out."""
OF_THE_OWN: Final = AttemptLimits(burst=5, refill_s=60.0)
"""How often somebody who is signed in may name the present password."""
_KEY_CHARACTERS_MAX: Final = 300
_WRONG: Final = "This name and password don't belong together."


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody signs in: the address, and what the browser says of itself."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Entered:
    """A cookie for the browser, and whether a password of the own has to be chosen first."""

    cookie: str
    must_change: bool


class Sessions:
    """What hashes a password returns a future. A wrong password and a name that nobody has are one answer,
    after the same work; so are those that were tried too often.
    """

    def __init__(self, access: AccessStore, passwords: Passwords, audit: AuditTrail, clock: Clock) -> None:
        self._access: Final = access
        self._passwords: Final = passwords
        self._audit: Final = audit
        self._clock: Final = clock
        self._networks: Final = Attempts(OF_A_NETWORK, clock)
        self._names_there: Final = Attempts(OF_A_NAME_THERE, clock)
        self._names: Final = Attempts(OF_A_NAME, clock)
        self._own: Final = Attempts(OF_THE_OWN, clock)

    @property
    def lasts_s(self) -> int:
        """How long a browser may keep a cookie."""
        return self._access.sessions.limits.whole_ms // 1000

    def find(self, cookie: str) -> SignedIn:
        """Who a cookie stands for; UnauthenticatedError when it is unknown or over."""
        return self._access.sessions.find(cookie)

    def now(self, signed_in: SignedIn) -> Principal:
        """Whom the same session stands for by now; UnauthenticatedError when it is over. May block."""
        return self._access.sessions.now(signed_in)

    def known(self, cookie: str) -> Principal | None:
        """Who a cookie stands for, as far as memory tells: to put requests in order, never to let them in."""
        return self._access.sessions.known(cookie)

    def by_key(self, key: str, place: Place) -> Entered:
        """A session for an API key that may read; a person's own key is for programs alone."""
        principal = self._access.authenticate(key)
        if principal.person:
            raise ForbiddenError("This key is for programs: sign in with your name and password.")
        require(principal, Permission.READ)
        cookie = self._access.sessions.start(principal.tenant, principal.key_id, place.address, place.agent)
        return Entered(cookie, must_change=False)

    def by_password(self, name: str, password: str, place: Place) -> Future[Entered]:
        """A session for a person. UnauthenticatedError, RateLimitedError, or BackpressureError."""
        tenant, plain = tenant_and_name(name, DEFAULT_TENANT)
        network, whom = network_of(place.address), f"{tenant}/{plain}"[:_KEY_CHARACTERS_MAX]
        tries = (
            (self._networks, network),
            (self._names_there, f"{network} {whom}"),
            (self._names, whom),
        )
        for attempts, key in tries:
            attempts.take(key)

        def give_back() -> None:
            for attempts, key in tries:
                attempts.give_back(key)

        def work() -> Entered:
            person, kept = self._proven(tenant, plain, password, place)
            give_back()
            outdated = self._passwords.is_outdated(kept)
            principal = replace(principal_of(person), address=place.address)
            with self._audit.before(principal, "session.start") as did:
                cookie = self._access.people.enter(
                    person,
                    password_hash=self._passwords.hash(password) if outdated else kept,
                    address=place.address,
                    agent=place.agent,
                    tell=lambda entering: did(entering.person_id),
                )
            return Entered(cookie, must_change=person.one_time_until_ms is not None)

        return self._submitted(network, work, give_back)

    def change_password(self, signed_in: SignedIn | None, current: str, new: str) -> Future[None]:
        """Choose another password; ends what the person is signed in to elsewhere.

        ForbiddenError unless a person is signed in; InvalidInputError for a password that can't be one.
        """
        if signed_in is None or not signed_in.principal.person:
            raise ForbiddenError("Only a person who is signed in has a password.")
        principal, session_id = signed_in.principal, signed_in.session.session_id
        person, kept = self._access.people.required(principal.tenant, principal.person)
        check_password(new, person.name)
        self._own.take(person.person_id)

        def give_back() -> None:
            self._own.give_back(person.person_id)

        def work() -> None:
            self._require_current(person, kept, current)
            give_back()
            if new == current:
                raise InvalidInputError("Choose another one than before.", field="new")
            with self._audit.before(principal, "person.password") as did:
                self._access.people.set_password(
                    principal.tenant,
                    principal.person,
                    self._passwords.hash(new),
                    one_time_until_ms=None,
                    revision=person.revision,
                    but_session=session_id,
                    tell=lambda changed: did(changed.person_id),
                )

        return self._submitted(principal.tenant, work, give_back)

    def own(self, principal: Principal) -> Sequence[Session]:
        """Where the person or key is signed in, the newest first."""
        return self._access.sessions.of(principal.tenant, principal.key_id)

    def end(self, principal: Principal, session_id: str) -> None:
        """End an own session; NotFoundError if there is none."""
        self._access.sessions.end(principal.tenant, principal.key_id, session_id)
        self._audit.did(principal, "session.end", session_id)

    def _submitted(
        self, holder: str, work: Callable[[], Result], give_back: Callable[[], None]
    ) -> Future[Result]:
        """Nothing was tried where there is no place: it is no attempt."""
        try:
            return self._passwords.submit(holder, work)
        except BackpressureError:
            give_back()
            raise

    def _proven(self, tenant: str, name: str, password: str, place: Place) -> tuple[Person, str]:
        found = self._access.people.with_hash(tenant, name)
        proven = self._passwords.proves(password, None if found is None else found[1])
        if found is None or not proven or found[0].disabled:
            person = None if found is None else found[0]
            self._audit.not_let_in(person, place.address)
            raise UnauthenticatedError(_WRONG)
        self._require_in_time(found[0])
        return found

    def _require_current(self, person: Person, kept: str, current: str) -> None:
        if not self._passwords.proves(current, kept):
            raise InvalidInputError("This is not the present password.", field="current")
        self._require_in_time(person)

    def _require_in_time(self, person: Person) -> None:
        """Told only to those who know the password."""
        if person.one_time_until_ms is not None and person.one_time_until_ms <= self._clock.now_ms():
            raise UnauthenticatedError("This one-time password has expired: ask an admin for another one.")


def csrf_matches(signed_in: SignedIn, given: str | None) -> bool:
    """Whether `given` is the session's token against forged forms; takes the same time either way."""
    return given is not None and hmac.compare_digest(signed_in.csrf.encode(), given.encode())


def require_settled(principal: Principal) -> None:
    """PasswordChangeRequiredError for who has signed in with a one-time password."""
    if principal.must_change:
        raise PasswordChangeRequiredError(
            "You have signed in with a one-time password: choose another one first, at /account or by "
            "POST /v1/me/password."
        )
