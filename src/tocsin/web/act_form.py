"""The forms of an anomaly's page, answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.errors import ConflictError, InvalidInputError
from tocsin.services.actions import ChangedError
from tocsin.services.addresses import restored
from tocsin.services.bundle import Services
from tocsin.web.acting import act
from tocsin.web.forms import read_form
from tocsin.web.pages import anomaly_page
from tocsin.web.rendering import segment
from tocsin.web.visitor import Visitor, guarded

_FORM_BYTES_MAX: Final = 64 << 10  # a note of 4,000 characters, each of them encoded


def act_form(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Does what a form says and shows the page again; with the reason, if it could not be done."""

    async def answer(request: Request) -> Response:
        form = await read_form(request, _FORM_BYTES_MAX)
        return await run_in_threadpool(guarded(services, _handler(form)), request)

    return answer


def _handler(form: Mapping[str, str]) -> Callable[[Request, Visitor], Response]:
    def handle(request: Request, visitor: Visitor) -> Response:
        anomaly_id = restored(request.path_params["anomaly_id"])
        try:
            act(visitor, anomaly_id, form)
        except (ChangedError, ConflictError, InvalidInputError) as error:
            found = visitor.services.anomalies.one(visitor.principal, anomaly_id)
            said = {name: form[name] for name in ("note", "assignee") if name in form}
            return anomaly_page(
                request, visitor, found, error.status, mistake=why_not(error, visitor), **said
            )
        return RedirectResponse(f"/anomalies/{segment(anomaly_id)}#handling", 303)

    return handle


def why_not(error: ChangedError | ConflictError | InvalidInputError, visitor: Visitor) -> str:
    """Why what a form asked for was not done, in words for the page."""
    if not isinstance(error, ChangedError):
        return error.detail
    names = visitor.services.actions.names(visitor.principal, error.changes)
    told = [
        f"{change.kind.replace('_', ' ')} by {names.get(change.actor, change.actor)}"
        + (f" ({change.detail})" if change.detail else "")
        for change in error.changes
    ]
    why = f"it has changed since you looked: {'; '.join(told)}"
    return f"Nothing was done, because {why}. Look again and decide anew."
