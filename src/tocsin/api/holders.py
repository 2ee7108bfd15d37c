"""Whose share a request uses: that of its credential, or of the address it comes from."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.types import Scope

from tocsin.errors import TocsinError
from tocsin.services.addresses import network_of
from tocsin.services.bundle import Services
from tocsin.services.sessions import SESSION_COOKIE

PROVEN: Final = "tocsin.proven"
"""Where in a scope the token and its principal stand, once they were looked up for this request."""
_BEARER: Final = b"bearer "


def holder_of(services: Services, scope: Scope) -> tuple[str, str]:
    """Tenant and key id of a credential that is in force, else no tenant and the address.

    A key id that is only claimed counts for nothing: a stranger could use up its owner's share.
    """
    token, cookie = _shown(scope)
    try:
        if token is not None:
            principal = services.entrance.by_token(token)
            scope[PROVEN] = token, principal
            return principal.tenant, principal.holder
        if cookie is not None:
            principal = services.sessions.find(cookie).principal
            return principal.tenant, principal.holder
    except TocsinError:
        pass  # refused later, with the reason
    return "", _network(scope)


def known_holder_of(services: Services, scope: Scope) -> tuple[str, str]:
    """As `holder_of`, from memory alone: no tenant and the address when a credential was not seen lately."""
    token, cookie = _shown(scope)
    principal = None
    if token is not None:
        principal = services.entrance.known(token)
    elif cookie is not None:
        principal = services.sessions.known(cookie)
    return ("", _network(scope)) if principal is None else (principal.tenant, principal.holder)


def _network(scope: Scope) -> str:
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def _shown(scope: Scope) -> tuple[str | None, str | None]:
    """What the request shows: a token, or the cookie of a session; the token counts where there are both."""
    cookie = None
    for name, value in scope["headers"]:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].decode("latin-1").strip(), None
        if name == b"cookie" and SESSION_COOKIE.encode() in value:
            cookie = _session_in(value.decode("latin-1"))
    return None, cookie


def _session_in(cookies: str) -> str | None:
    try:
        found = SimpleCookie(cookies).get(SESSION_COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
