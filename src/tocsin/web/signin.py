"""Signing in with an API key, and out again."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.access.permissions import Permission, require
from tocsin.errors import ForbiddenError, TocsinError, UnauthenticatedError
from tocsin.services.bundle import Services
from tocsin.services.sessions import SESSION_COOKIE, SESSION_S, csrf_matches
from tocsin.web.forms import read_form
from tocsin.web.rendering import page


class SignIn:
    """The login page and its two forms."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def show(self, request: Request) -> Response:
        """The page with the field for the key."""
        return page("login.html", mistake="", next=_safe_path(request.query_params.get("next", "/")))

    async def enter(self, request: Request) -> Response:
        """Check the key and begin a session; the page again, with the reason, if it is no good."""
        target = "/"
        try:
            _same_site_only(request)
            form = await read_form(request)
            target = _safe_path(form.get("next", "/"))
            cookie = await run_in_threadpool(self._start, form.get("key", "").strip())
        except TocsinError as error:
            address = request.client.host if request.client else ""
            self._services.audit.refused(None, "session.start", "", address, error.code)
            return page("login.html", error.status, mistake=_words(error), next=target)
        response = RedirectResponse(target, 303)
        response.set_cookie(
            SESSION_COOKIE,
            cookie,
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def leave(self, request: Request) -> Response:
        """End the session, if the form is our own."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        form = await read_form(request)
        try:
            session = self._services.sessions.find(cookie)
        except UnauthenticatedError:
            return RedirectResponse("/login", 303)
        if not csrf_matches(session, form.get("csrf")):
            return page("error.html", 403, status=403, detail="This form is not from one of these pages.")
        self._services.sessions.end(cookie)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response

    def _start(self, key: str) -> str:
        principal = self._services.entrance.by_token(key)
        require(principal, Permission.READ)
        return self._services.sessions.start(key)


def _same_site_only(request: Request) -> None:
    """Another site's page must not sign a browser in under its own key; browsers say who asks."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForbiddenError("Sign in from this page itself.")


def _safe_path(target: str) -> str:
    """A path on this server; anything else becomes the first page."""
    plain = target.startswith("/") and not target.startswith("//")
    return target if plain and target.isprintable() and "\\" not in target else "/"


def _words(error: TocsinError) -> str:
    if isinstance(error, UnauthenticatedError):
        return "This key is unknown, expired or revoked. Check that you have copied all of it."
    return error.detail
