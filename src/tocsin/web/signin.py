"""Signing in, by name and password or with an API key, and out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.errors import ForbiddenError, NotFoundError, RateLimitedError, TocsinError, UnauthenticatedError
from tocsin.services.addresses import client_of
from tocsin.services.bundle import Services
from tocsin.services.finishing import finished
from tocsin.services.sessions import SESSION_COOKIE, Entered, Place, csrf_matches
from tocsin.web.forms import read_form
from tocsin.web.rendering import page
from tocsin.web.visitor import error_page

_NAME_SHOWN_MAX: Final = 192


class SignIn:
    """The login page and its two forms."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def show(self, request: Request) -> Response:
        """The page with the fields; `name` in the address fills the first one, as in an invitation."""
        asked = request.query_params
        return _login(200, target=safe_path(asked.get("next", "/")), name=asked.get("name", ""))

    async def enter(self, request: Request) -> Response:
        """Check what was given and begin a session; the page again, with the reason, if it is no good."""
        form: dict[str, str] = {}
        try:
            _same_site_only(request)
            form = await read_form(request)
            entered = await self._enter(form, _place_of(request))
        except TocsinError as error:
            if error.status == 500:
                return error_page(error, None)
            by_key = "key" in form
            return _login(
                error.status,
                target=safe_path(form.get("next", "/")),
                name=form.get("name", ""),
                mistake=_words(error, by_key=by_key),
                by_key=by_key,
            )
        target = safe_path(form.get("next", "/"))
        if entered.must_change:
            target = f"/account?next={quote(target, safe='')}"
        return self._let_in(request, target, entered.cookie)

    async def leave(self, request: Request) -> Response:
        """End the session, if the form is our own."""
        form = await read_form(request)
        cookie = request.cookies.get(SESSION_COOKIE, "")
        return await run_in_threadpool(self._leave, cookie, client_of(request.scope), form)

    async def _enter(self, form: Mapping[str, str], place: Place) -> Entered:
        if "key" in form:
            return await run_in_threadpool(self._by_key, form["key"].strip(), place)
        name, password = form.get("name", ""), form.get("password", "")
        return await finished(self._services.sessions.by_password(name, password, place))

    def _by_key(self, key: str, place: Place) -> Entered:
        try:
            return self._services.sessions.by_key(key, place)
        except TocsinError as error:
            self._services.audit.refused(None, "session.start", "", place.address, error.code)
            raise

    def _let_in(self, request: Request, target: str, cookie: str) -> Response:
        response = RedirectResponse(target, 303)
        response.set_cookie(
            SESSION_COOKIE,
            cookie,
            max_age=self._services.sessions.lasts_s,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _leave(self, cookie: str, address: str, form: Mapping[str, str]) -> Response:
        sessions = self._services.sessions
        try:
            signed_in = sessions.find(cookie).at(address)
            if not csrf_matches(signed_in, form.get("csrf")):
                raise ForbiddenError("This form is not from one of these pages.")
            sessions.end(signed_in.principal, signed_in.session.session_id)
        except (UnauthenticatedError, NotFoundError):
            return RedirectResponse("/login", 303)
        except TocsinError as error:
            return error_page(error, None)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response


def safe_path(target: str) -> str:
    """A path on this server; anything else becomes the first page."""
    plain = target.startswith("/") and not target.startswith("//")
    return target if plain and target.isprintable() and "\\" not in target else "/"


def _login(status: int, *, target: str, name: str, mistake: str = "", by_key: bool = False) -> Response:
    return page(
        "login.html", status, next=target, name=name[:_NAME_SHOWN_MAX], mistake=mistake, by_key=by_key
    )


def _place_of(request: Request) -> Place:
    return Place(client_of(request.scope), request.headers.get("user-agent", ""))


def _same_site_only(request: Request) -> None:
    """Another site's page must not sign a browser in under its own name; browsers say who asks."""
    site = request.headers.get("sec-fetch-site")
    if site is None:
        # an older browser; `null` is what it says of our own pages, whose policy is to send no referrer
        origin = request.headers.get("origin", "null")
        is_own = origin == "null" or _host_of(origin) == request.url.netloc
    else:
        is_own = site in {"same-origin", "none"}
    if not is_own:
        raise ForbiddenError("Sign in from this page itself.")


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None for what is no address, which anybody may send."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _words(error: TocsinError, *, by_key: bool) -> str:
    if by_key and isinstance(error, UnauthenticatedError):
        return "This key is unknown, expired or revoked. Check that you have copied all of it."
    if isinstance(error, RateLimitedError):
        return "Too many attempts to sign in have failed. Wait a minute, then try again."
    return error.detail
