"""What every operation needs: the services, and who is asking.

Both are coroutines though they wait for nothing: a plain function would cost a change of thread, far more
than looking a credential up in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from tocsin.access.principal import Principal
from tocsin.access.sessions import SignedIn
from tocsin.api.limits import content_length
from tocsin.errors import ForbiddenError, UnauthenticatedError
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


async def _asker(
    request: Request,
    services: ServicesOf,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Asker:
    if bearer is not None:
        asker = Asker(services.entrance.by_token(bearer.credentials))
    elif cookie is not None:
        signed_in = services.sessions.find(cookie)
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
    return asker


AskerOf = Annotated[Asker, Depends(_asker)]
"""Also somebody who has to choose a password first."""


async def _principal(asker: AskerOf) -> Principal:
    require_settled(asker.principal)
    return asker.principal


PrincipalOf = Annotated[Principal, Depends(_principal)]


async def principal_of(request: Request) -> Principal:
    """As PrincipalOf, for a route that takes its parameters from the request itself."""
    services = request.app.state.services
    return await _principal(await _asker(request, services, await _bearer(request), await _cookie(request)))
