"""What every operation needs: the services, and who is asking.

All are coroutines though they wait for nothing: a plain function would cost a change of thread, far more
than looking a credential up in memory. Nor do they depend on each other by the framework's means, which
costs more than the lookup for each: so the description of the API is told which operations need a credential.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, HTTPBearer

from tocsin.access.principal import Principal
from tocsin.access.sessions import SignedIn
from tocsin.api.holders import PROVEN
from tocsin.api.limits import content_length
from tocsin.errors import ForbiddenError, UnauthenticatedError
from tocsin.services.addresses import client_of
from tocsin.services.bundle import Services
from tocsin.services.sessions import CSRF_HEADER, SESSION_COOKIE, csrf_matches, require_settled

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="credential", description="An API key or a device token."
)
_cookie: Final = APIKeyCookie(
    name=SESSION_COOKIE, auto_error=False, scheme_name="session", description="Made by /login for browsers."
)


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and the session if it is a browser."""

    principal: Principal
    signed_in: SignedIn | None = None


async def _asker(request: Request) -> Asker:
    """Looked up once for a request, however many ask."""
    known: Asker | None = getattr(request.state, "asker", None)
    if known is not None:
        return known
    services: Services = request.app.state.services
    address = client_of(request.scope)
    if (bearer := await _bearer(request)) is not None:
        asker = Asker(replace(_holder(request, bearer.credentials), address=address))
    elif (cookie := await _cookie(request)) is not None:
        signed_in = services.sessions.find(cookie).at(address)
        if request.method not in _SAFE_METHODS and not csrf_matches(
            signed_in, request.headers.get(CSRF_HEADER)
        ):
            # a browser sends its cookie whoever wrote the page; only our own pages know the token
            raise ForbiddenError("A change made with a session cookie needs its X-CSRF-Token.")
        asker = Asker(signed_in.principal, signed_in)
    else:
        raise UnauthenticatedError("Send `Authorization: Bearer <API key or device token>`.")
    request.state.principal = asker.principal
    services.entrance.take_share(asker.principal, content_length(request.scope))
    request.state.asker = asker
    return asker


def _holder(request: Request, token: str) -> Principal:
    """Who holds the token; its share of requests was found by it a moment ago.

    Where a body had to come first it is asked again: the credential may have ended in that time.
    """
    proven: tuple[str, Principal] | None = request.scope.get(PROVEN)
    if request.method in _SAFE_METHODS and proven is not None and proven[0] == token:
        return proven[1]
    services: Services = request.app.state.services
    return services.entrance.by_token(token)


AskerOf = Annotated[Asker, Depends(_asker)]
"""Also somebody who has to choose a password first."""


async def principal_of(request: Request) -> Principal:
    """Who asks, who must not have to choose a password first."""
    asker = await _asker(request)
    require_settled(asker.principal)
    return asker.principal


PrincipalOf = Annotated[Principal, Depends(principal_of)]


def asks_who(dependant: Dependant) -> bool:
    """Whether an operation needs a credential, by what it depends on."""
    return any(each.call in (_asker, principal_of) for each in dependant.dependencies)


def security_schemes() -> dict[str, Any]:
    """How to send a credential, for the description of the API; any one of them will do."""
    schemes = (_bearer, _cookie)
    return {
        each.scheme_name: each.model.model_dump(mode="json", by_alias=True, exclude_none=True)
        for each in schemes
    }
