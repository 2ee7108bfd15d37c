"""What an anomaly was: a page of its own, which shows what an answer would change before it is saved."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.control import FeedbackKind
from tocsin.errors import ConflictError, ForbiddenError, InvalidInputError
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import Target
from tocsin.services.actions import ChangedError
from tocsin.services.addresses import restored
from tocsin.services.bundle import Services
from tocsin.services.feedback import Preview
from tocsin.services.sessions import csrf_matches
from tocsin.web.act_form import why_not
from tocsin.web.acting import version_of
from tocsin.web.forms import read_form
from tocsin.web.rendering import page, segment
from tocsin.web.visitor import Visitor, guarded

_FORM_BYTES_MAX: Final = 64 << 10
_TOLD_MAX: Final = 20

ANSWERS: Final = {
    FeedbackKind.FALSE_ALARM: (
        "A false alarm",
        "Limits of its series go up to 1.5 times what they are, at most three times in all.",
    ),
    FeedbackKind.CONFIRMED: (
        "A fault, confirmed",
        "What is abnormal is not learnt, for 30 days from its beginning: the fault does not become normal.",
    ),
    FeedbackKind.EXPECTED: (
        "Expected at this time of the week",
        "What is abnormal at the same hours of the week is learnt, for 30 days from its beginning.",
    ),
    FeedbackKind.NEW_NORMAL: (
        "The new normal",
        "What was learnt of its series is forgotten, and learnt anew from the next reading on.",
    ),
    FeedbackKind.WITHDRAWN: (
        "Take the last answer back",
        "The last that was said of its series and is in force acts no more.",
    ),
}
"""What each kind is called on the page, and what it does."""


def feedback(request: Request, visitor: Visitor) -> Response:
    """The question, with what is in force now."""
    return _page(visitor, _found(visitor, request), kind=None, note="")


def feedback_form(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Shows what an answer would change, or saves it and shows the anomaly."""

    async def answer(request: Request) -> Response:
        form = await read_form(request, _FORM_BYTES_MAX)
        return await run_in_threadpool(guarded(services, _handler(form)), request)

    return answer


def _handler(form: Mapping[str, str]) -> Callable[[Request, Visitor], Response]:
    def handle(request: Request, visitor: Visitor) -> Response:
        if not csrf_matches(visitor.session, form.get("csrf")):
            raise ForbiddenError("This form is not from one of these pages.")
        found = _found(visitor, request)
        note = form.get("note", "").strip().replace("\r\n", "\n")
        kind: FeedbackKind | None = None
        try:
            kind = _kind(form)
            if form.get("do") != "save":
                preview = visitor.services.feedback.preview(visitor.principal, found.id, kind)
                return _page(visitor, found, kind=kind, note=note, preview=preview)
            target = Target(id=found.id, version=version_of(form.get("version", "")))
            key = form.get("key", "")
            visitor.services.feedback.give(
                visitor.principal, found.id, kind, note=note, target=target, key=key
            )
        except (ChangedError, ConflictError, InvalidInputError) as error:
            mistake = why_not(error, visitor)
            return _page(visitor, found, kind=kind, note=note, mistake=mistake, status=error.status)
        return RedirectResponse(f"/anomalies/{segment(found.id)}#history", 303)

    return handle


def _found(visitor: Visitor, request: Request) -> Anomaly:
    return visitor.services.anomalies.one(visitor.principal, restored(request.path_params["anomaly_id"]))


def _kind(form: Mapping[str, str]) -> FeedbackKind:
    try:
        return FeedbackKind(form.get("kind", ""))
    except ValueError:
        raise InvalidInputError("Say what it was.", field="kind") from None


def _page(
    visitor: Visitor,
    found: Anomaly,
    *,
    kind: FeedbackKind | None,
    note: str,
    preview: Preview | None = None,
    mistake: str = "",
    status: int = 200,
) -> Response:
    services, principal = visitor.services, visitor.principal
    offered = services.feedback.offered(principal, found.id)
    return page(
        "feedback.html",
        status,
        **visitor.frame("inbox"),
        anomaly=found,
        answers=[(each.value, *ANSWERS[each]) for each in offered],
        acting=services.series.acting(principal, found.device, [name for name in found.parameters if name]),
        chosen="" if kind is None else kind.value,
        note=note,
        preview=None if preview is None else _told(preview),
        mistake=mistake,
        key=secrets.token_urlsafe(12),
    )


def _told(preview: Preview) -> dict[str, Any]:
    """What the page says of a preview: how many episodes, and the newest of those that would differ."""
    found = preview.difference
    fates: tuple[tuple[str, Sequence[Any]], ...] = (
        ("Would vanish", found.vanishing),
        ("Would become", found.changing),
        ("Would appear", found.appearing),
    )
    return {
        "from_ms": found.from_ms,
        "without": len(found.without),
        "given": len(found.given),
        "fates": [(name, list(reversed(each))[:_TOLD_MAX], len(each)) for name, each in fates if each],
    }
