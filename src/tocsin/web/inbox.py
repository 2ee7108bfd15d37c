"""The inbox: what is to be done, whatever the data say now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.directory.abstract import Freshness
from tocsin.errors import InvalidInputError
from tocsin.inbox.abstract import Anomaly, AnomalyQuery
from tocsin.inbox.action import Handling
from tocsin.web.pages import fleet
from tocsin.web.rendering import page
from tocsin.web.visitor import Visitor

SHOWN_MAX: Final = 50
MINE: Final = "mine"
"""Assigned to whoever looks, or at a device of theirs, if that is a person."""

VIEWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "unresolved": ("Unresolved", {"unresolved": True}),
    "unseen": ("Unseen", {"unresolved": True, "seen": False}),
    "acknowledged": ("Acknowledged", {"handling": Handling.ACKNOWLEDGED}),
    "snoozed": ("Snoozed", {"handling": Handling.SNOOZED}),
    "resolved": ("Resolved", {"handling": Handling.RESOLVED}),
    "all": ("All", {}),
}
"""By the name in the address: the words for it, and the filters."""

EMPTY: Final = {
    MINE: "Nothing is assigned to you, and nothing is unresolved at a device of yours.",
    "unresolved": "Nothing is unresolved.",
    "unseen": "Everything that is unresolved was seen.",
    "acknowledged": "Nothing is acknowledged.",
    "snoozed": "Nothing is snoozed.",
    "resolved": "Nothing was resolved yet.",
    "all": "There was no anomaly yet.",
}
"""What a view says that has nothing to show."""

_NOTHING_OF_YOURS: Final = "Nothing is unresolved at your devices."
_NOTHING_SO_FAR: Final = "Nothing is unresolved at the devices that are known to be yours so far."

OF_ALL: Final = frozenset({"unresolved", "all"})
"""Views that have no meaning for whoever sees the own devices alone: what is unresolved there is hers."""

_DIGITS_MAX: Final = 18


def start(request: Request, visitor: Visitor) -> Response:
    """Whoever sees the own devices alone begins with what is to be done there, all others with the fleet."""
    if visitor.services.sight.limited(visitor.principal):
        return RedirectResponse("/inbox", 303)
    return fleet(request, visitor)


def inbox(request: Request, visitor: Visitor) -> Response:
    """Anomalies by what people made of them, newest change first."""
    return page("inbox.html", **visitor.frame("inbox"), **_listed(request, visitor))


def inbox_live(request: Request, visitor: Visitor) -> Response:
    """The part of it that changes, for the script that follows the stream."""
    return page("_inbox.html", **_listed(request, visitor))


def _listed(request: Request, visitor: Visitor) -> dict[str, Any]:
    own_name = visitor.services.colleagues.own_name(visitor.principal)
    limited = visitor.services.sight.limited(visitor.principal)
    words = {MINE: "Mine"} if own_name else {}
    words |= {name: text for name, (text, _) in VIEWS.items() if not (limited and name in OF_ALL)}
    show = request.query_params.get("show", MINE if limited else "unresolved")
    if show not in words:
        raise InvalidInputError("There is no such view of the inbox.", field="show")
    before = request.query_params.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) <= _DIGITS_MAX):
        raise InvalidInputError("This page of the inbox is none.", field="before")
    device = request.query_params.get("device") or None
    as_of_ms, freshness = visitor.services.sight.age(visitor.principal)
    here = {"show": show} | ({} if device is None else {"device": device})
    found, older = _found(visitor, show, own_name, device, None if before is None else int(before))
    return {
        "show": show,
        "as_of_ms": as_of_ms,
        "freshness": freshness,
        "device": device,
        "empty": _nothing_of(freshness) if limited and show == MINE else EMPTY[show],
        "views": words,
        "shown": visitor.services.colleagues.shown(visitor.principal, [each.assignee for each in found]),
        "anomalies": found,
        "older": None if older is None else f"?{urlencode(here | {'before': older})}",
        "before": before,
    }


def _nothing_of(freshness: Freshness | None) -> str:
    """Devices are asked for one by one, too: before the list has come, some may be lacking."""
    return _NOTHING_SO_FAR if freshness is Freshness.UNKNOWN else _NOTHING_OF_YOURS


def _found(
    visitor: Visitor, show: str, own_name: str | None, device: str | None, before: int | None
) -> tuple[Sequence[Anomaly], int | None]:
    anomalies, principal = visitor.services.anomalies, visitor.principal
    if show == MINE and own_name is not None:
        return anomalies.mine(principal, own_name, device=device, before=before, limit=SHOWN_MAX)
    query = AnomalyQuery(
        principal.tenant, device=device, limit=SHOWN_MAX, before_sequence=before, **VIEWS[show][1]
    )
    return anomalies.page(principal, query)
