"""Who comes in: a token becomes a principal, within its share of requests and bytes."""

from __future__ import annotations

from tocsin.access.principal import Principal
from tocsin.access.rate_limit import RateLimiter
from tocsin.access.store import AccessStore
from tocsin.errors import UnauthenticatedError


class Entrance:
    """The first step of every request."""

    def __init__(self, access: AccessStore, limiter: RateLimiter) -> None:
        self._access = access
        self._limiter = limiter

    def by_token(self, token: str) -> Principal:
        """Who holds the token; UnauthenticatedError if nobody does."""
        return self._access.authenticate(token)

    def known(self, token: str) -> Principal | None:
        """Who holds the token, as far as memory tells: to put requests in order, never to let them in."""
        return self._access.known(token)

    def now(self, principal: Principal) -> Principal:
        """Whom the same key stands for by now; UnauthenticatedError if for nobody. May block."""
        found = self._access.in_force(principal.tenant, principal.key_id)
        if found is None:
            raise UnauthenticatedError("The credential was revoked or has expired.")
        return found

    def take_share(self, principal: Principal, bytes_: int) -> None:
        """Count one request with a body of `bytes_`; RateLimitedError when the share is used up."""
        self._limiter.take(principal.holder, bytes_=bytes_)

    def charge_refused(self, principal: Principal, lines: int) -> None:
        """Count lines that were refused."""
        self._limiter.charge_refused(principal.holder, lines)

    def charge(self, principal: Principal, bytes_: int) -> None:
        """Count bytes of a body whose length was not declared."""
        self._limiter.charge(principal.holder, bytes_)
