"""The own account: another password, and where one is signed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.errors import ForbiddenError, TocsinError
from tocsin.services.bundle import Services
from tocsin.services.finishing import finished
from tocsin.services.sessions import csrf_matches
from tocsin.web.forms import read_form
from tocsin.web.rendering import page
from tocsin.web.signin import safe_path
from tocsin.web.visitor import Visitor, error_page, guarded

_DONE: Final = {
    "password": "Your password is changed.",
    "session": "That session has ended.",
    "key": "That key has ended.",
}


def account(request: Request, visitor: Visitor) -> Response:
    """Who one is here, and both forms."""
    asked = request.query_params
    return account_page(
        visitor, 200, target=asked.get("next", "/account"), done=_DONE.get(asked.get("done", ""), "")
    )


def end_session(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Ends one of the own sessions."""

    async def answer(request: Request) -> Response:
        form = await read_form(request)

        def handle(_: Request, visitor: Visitor) -> Response:
            require_own_form(visitor, form)
            visitor.services.sessions.end(visitor.principal, form.get("session", ""))
            return RedirectResponse("/account?done=session", 303)

        return await run_in_threadpool(guarded(services, handle), request)

    return answer


def change_password(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Changes the password, and goes on to where the visitor wanted to; the page again if it can't be."""

    async def answer(request: Request) -> Response:
        form = await read_form(request)
        return await _Change(services, request, form).answer()

    return answer


class _Change:
    """One form that was sent."""

    def __init__(self, services: Services, request: Request, form: Mapping[str, str]) -> None:
        self._services = services
        self._request = request
        self._form = form
        self._target = safe_path(form.get("next", "/account"))

    async def answer(self) -> Response:
        """Hashing goes on elsewhere meanwhile."""
        found: list[Visitor] = []

        def checked(_: Request, visitor: Visitor) -> Response:
            require_own_form(visitor, self._form)
            found.append(visitor)
            return RedirectResponse(self._onward(), 303)

        response = await run_in_threadpool(guarded(self._services, checked, unsettled=True), self._request)
        return await self._changed(found[0], response) if found else response

    async def _changed(self, visitor: Visitor, response: Response) -> Response:
        form = self._form
        if form.get("new", "") != form.get("again", ""):
            return await self._again(visitor, "The new password is not the same both times.", "new", 400)
        try:
            current, new = form.get("current", ""), form.get("new", "")
            await finished(self._services.sessions.change_password(visitor.session, current, new))
        except TocsinError as error:
            if error.status >= 500:
                return await run_in_threadpool(error_page, error, visitor)
            return await self._again(visitor, error.detail, error.field or "current", error.status)
        return response

    async def _again(self, visitor: Visitor, mistake: str, wrong: str, status: int) -> Response:
        shown = partial(account_page, visitor, status, target=self._target, mistake=mistake, wrong=wrong)
        return await run_in_threadpool(shown)

    def _onward(self) -> str:
        return "/account?done=password" if self._target == "/account" else self._target


def account_page(
    visitor: Visitor,
    status: int,
    *,
    target: str = "/account",
    mistake: str = "",
    wrong: str = "",
    done: str = "",
    token: str = "",
) -> Response:
    """The page; `token` is that of a key just made, shown this once."""
    principal, services = visitor.principal, visitor.services
    settled = bool(principal.person) and not principal.must_change
    return page(
        "account.html",
        status,
        **visitor.frame("account"),
        roles=sorted(principal.roles),
        sign_in_name=services.colleagues.sign_in_name(principal),
        sessions=services.sessions.own(principal),
        keys=services.own_keys.own(visitor.session) if settled else [],
        scopes=services.own_keys.scopes_for(principal),
        now_ms=services.clock.now_ms(),
        own=visitor.session.session.session_id,
        next=safe_path(target),
        mistake=mistake,
        wrong=wrong,
        done=done,
        token=token,
    )


def require_own_form(visitor: Visitor, form: Mapping[str, str]) -> None:
    """ForbiddenError for a form that is not from one of our pages."""
    if not csrf_matches(visitor.session, form.get("csrf")):
        raise ForbiddenError("This form is not from one of these pages.")
