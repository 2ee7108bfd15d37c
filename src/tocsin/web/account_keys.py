"""The forms of the account page that make a key and end one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.access.principal import Scope
from tocsin.errors import ConflictError, InvalidInputError
from tocsin.services.bundle import Services
from tocsin.web.account import account_page, require_own_form
from tocsin.web.forms import read_form
from tocsin.web.visitor import Visitor, guarded

LASTS: Final = {"30": "30 days", "90": "90 days", "400": "400 days"}
"""How long a key may be good for, in days, and in words."""

_DAY_MS: Final = 86_400_000
_Handle = Callable[[Mapping[str, str], Visitor], Response]


def make_key(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Makes a key and shows its token, this once; the page with the reason if it can't be."""
    return _form(services, _made)


def revoke_key(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Ends one of the own keys."""
    return _form(services, _revoked)


def _form(services: Services, handle: _Handle) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        form = await read_form(request)

        def run(_: Request, visitor: Visitor) -> Response:
            require_own_form(visitor, form)
            return handle(form, visitor)

        return await run_in_threadpool(guarded(services, run), request)

    return answer


def _made(form: Mapping[str, str], visitor: Visitor) -> Response:
    services = visitor.services
    try:
        made = services.own_keys.make(
            visitor.session,
            name=form.get("name", ""),
            scopes=[scope for scope in Scope if scope in form],
            expires_ms=services.clock.now_ms() + _days(form) * _DAY_MS,
        )
    except (InvalidInputError, ConflictError) as error:
        return account_page(visitor, error.status, mistake=error.detail, wrong=error.field or "")
    return account_page(visitor, 200, token=made.token)


def _days(form: Mapping[str, str]) -> int:
    if form.get("days") not in LASTS:
        raise InvalidInputError("Say for how long.", field="days")
    return int(form["days"])


def _revoked(form: Mapping[str, str], visitor: Visitor) -> Response:
    visitor.services.own_keys.revoke(visitor.session, form.get("key", ""))
    return RedirectResponse("/account?done=key", 303)
