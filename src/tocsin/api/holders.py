"""Whose share a request uses: that of its credential, or of the address it comes from."""

from __future__ import annotations

import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.types import Scope

from tocsin.errors import TocsinError
from tocsin.services.bundle import Services
from tocsin.services.sessions import SESSION_COOKIE

_BEARER: Final = b"bearer "
_NETWORK_BITS: Final = 64


def holder_of(services: Services, scope: Scope) -> tuple[str, str]:
    """Tenant and key id of a credential that is in force, else no tenant and the address.

    A key id that is only claimed counts for nothing: a stranger could use up its owner's share.
    """
    token = _token(services, scope)
    if token is not None:
        try:
            principal = services.entrance.by_token(token)
        except TocsinError:
            pass  # refused later, with the reason
        else:
            return principal.tenant, principal.key_id
    return "", _network(scope)


def known_holder_of(services: Services, scope: Scope) -> tuple[str, str]:
    """As `holder_of`, from memory alone: no tenant and the address when a credential was not seen lately."""
    token = _token(services, scope)
    principal = services.entrance.known(token) if token is not None else None
    return ("", _network(scope)) if principal is None else (principal.tenant, principal.key_id)


def _network(scope: Scope) -> str:
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def _token(services: Services, scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            text: str = value[len(_BEARER) :].decode("latin-1").strip()
            return text
        if name == b"cookie" and SESSION_COOKIE.encode() in value:
            return _token_of_session(services, value.decode("latin-1"))
    return None


def _token_of_session(services: Services, cookies: str) -> str | None:
    try:
        found = SimpleCookie(cookies).get(SESSION_COOKIE)
        return None if found is None else services.sessions.find(found.value).token
    except (CookieError, TocsinError):
        return None


def network_of(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one, which a single client has 2^64 addresses of.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2:3")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
