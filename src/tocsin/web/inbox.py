"""The inbox: what is to be done, whatever the data say now."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tocsin.errors import InvalidInputError
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.action import Handling
from tocsin.web.rendering import page
from tocsin.web.visitor import Visitor

SHOWN_MAX: Final = 50
MINE: Final = "mine"
"""Assigned to whoever looks, if that is a person."""

VIEWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "unresolved": ("Unresolved", {"unresolved": True}),
    "unseen": ("Unseen", {"unresolved": True, "seen": False}),
    "acknowledged": ("Acknowledged", {"handling": Handling.ACKNOWLEDGED}),
    "snoozed": ("Snoozed", {"handling": Handling.SNOOZED}),
    "resolved": ("Resolved", {"handling": Handling.RESOLVED}),
    "all": ("All", {}),
}
"""By the name in the address: the words for it, and the filters."""

_OF_ONE: Final[dict[str, Any]] = {"unresolved": True}
_DIGITS_MAX: Final = 18


def inbox(request: Request, visitor: Visitor) -> Response:
    """Anomalies by what people made of them, newest change first."""
    return page("inbox.html", **visitor.frame("inbox"), **_listed(request, visitor))


def inbox_live(request: Request, visitor: Visitor) -> Response:
    """The part of it that changes, for the script that follows the stream."""
    return page("_inbox.html", **_listed(request, visitor))


def _listed(request: Request, visitor: Visitor) -> dict[str, Any]:
    show = request.query_params.get("show", "unresolved")
    own_name = visitor.services.colleagues.own_name(visitor.principal)
    words = {MINE: "Mine"} if own_name else {}
    words |= {name: text for name, (text, _) in VIEWS.items()}
    if show not in words:
        raise InvalidInputError("There is no such view of the inbox.", field="show")
    before = request.query_params.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) <= _DIGITS_MAX):
        raise InvalidInputError("This page of the inbox is none.", field="before")
    device = request.query_params.get("device") or None
    query = AnomalyQuery(
        visitor.principal.tenant,
        device=device,
        limit=SHOWN_MAX,
        before_sequence=None if before is None else int(before),
        **(_OF_ONE | {"assignee": own_name} if show == MINE else VIEWS[show][1]),
    )
    here = {"show": show} | ({} if device is None else {"device": device})
    found, older = visitor.services.anomalies.page(visitor.principal, query)
    return {
        "show": show,
        "device": device,
        "views": words,
        "shown": visitor.services.colleagues.shown(visitor.principal, [each.assignee for each in found]),
        "anomalies": found,
        "older": None if older is None else f"?{urlencode(here | {'before': older})}",
        "before": before,
    }
