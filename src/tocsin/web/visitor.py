"""Who looks at a page: the session of a browser, and the way to the sign-in page when there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.access.principal import Principal
from tocsin.access.sessions import SignedIn
from tocsin.errors import PasswordChangeRequiredError, TocsinError, UnauthenticatedError
from tocsin.observability.logging import get_logger
from tocsin.services.addresses import client_of
from tocsin.services.bundle import Services
from tocsin.services.sessions import SESSION_COOKIE, require_settled
from tocsin.services.sight import NoTechnicianError
from tocsin.web.rendering import page

_log: Final = get_logger("web")
_ACCOUNT: Final = "/account"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person at a page."""

    principal: Principal
    session: SignedIn
    services: Services

    def frame(self, place: str) -> dict[str, Any]:
        """What the frame of a page needs: who looks, and at which of the places in the navigation."""
        return {
            "place": place,
            "visitor": self.principal,
            "csrf": self.session.csrf,
            "mapped": self.services.mapping.connected(self.principal),
            "limited": self.services.sight.limited(self.principal),
        }


Handler = Callable[[Request, Visitor], Response]


def visitor_of(services: Services, request: Request) -> Visitor:
    """Who asks; UnauthenticatedError without a session, RateLimitedError beyond the share."""
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        raise UnauthenticatedError("Sign in first.")
    session = services.sessions.find(cookie).at(client_of(request.scope))
    services.entrance.take_share(session.principal, 0)
    return Visitor(session.principal, session, services)


def guarded(
    services: Services, handler: Handler, *, unsettled: bool = False
) -> Callable[[Request], Response]:
    """An endpoint that shows its page to visitors, and errors as pages.

    `unsettled`: also to those who have to choose a password of their own first.
    """

    def run(request: Request) -> Response:
        visitor = None
        try:
            visitor = visitor_of(services, request)
            if not unsettled:
                require_settled(visitor.principal)
            return handler(request, visitor)
        except UnauthenticatedError:
            return RedirectResponse(f"/login?next={quote(_page_of(request), safe='/')}", 303)
        except PasswordChangeRequiredError:
            return RedirectResponse(f"/account?next={quote(_page_of(request), safe='/')}", 303)
        except TocsinError as error:
            return error_page(error, visitor)

    return run


def _page_of(request: Request) -> str:
    """The page that was asked for, or that has the form that was sent; those of the account share one."""
    path = request.url.path
    return _ACCOUNT if request.method == "POST" and path.startswith(f"{_ACCOUNT}/") else path


def error_page(error: TocsinError, visitor: Visitor | None) -> Response:
    """What went wrong and what to do, for people; with the way on, where it is known who asks."""
    detail = error.detail
    if error.status == 500:
        _log.error("page_failed", code=error.code, exc_info=error)
        detail = "Stored data could not be used; the log of the server says what."
    way_on = {} if visitor is None else visitor.frame("")
    # who has no GUID, or one that nobody knows, would be told there that she has none
    is_technician = visitor is not None and visitor.principal.technician is not None
    to_inbox = is_technician and not isinstance(error, NoTechnicianError)
    values = {"status": error.status, "detail": detail, "to_inbox": to_inbox}
    return page("error.html", error.status, **values, **way_on)
