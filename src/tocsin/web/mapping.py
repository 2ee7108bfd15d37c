"""Who is responsible for what, and where it stands: pages of technicians and locations."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tocsin.errors import InvalidInputError
from tocsin.services.addresses import restored
from tocsin.web.rendering import page
from tocsin.web.visitor import Visitor

ANOMALIES_MAX: Final = 50
DEVICES_MAX: Final = 200
LOCATIONS_MAX: Final = 200
_DIGITS_MAX: Final = 18


def technician(request: Request, visitor: Visitor) -> Response:
    """What is unresolved at a technician's devices, newest change first, and which devices these are."""
    whose = restored(request.path_params["technician_id"])
    devices = visitor.services.mapping.devices_of(visitor.principal, whose, after="", limit=DEVICES_MAX)
    return page(
        "technician.html",
        **visitor.frame("locations"),
        **_listed(request, visitor),
        devices=devices,
        now_ms=visitor.services.clock.now_ms(),
    )


def technician_live(request: Request, visitor: Visitor) -> Response:
    """The part of it that changes, for the script that follows the stream."""
    return page("_inbox.html", **_listed(request, visitor))


def locations(request: Request, visitor: Visitor) -> Response:
    """Places by name, with how many devices stand there."""
    after = request.query_params.get("after", "")
    found, following = visitor.services.mapping.locations(visitor.principal, after=after, limit=LOCATIONS_MAX)
    return page(
        "locations.html",
        **visitor.frame("locations"),
        locations=found,
        following=following,
    )


def location(request: Request, visitor: Visitor) -> Response:
    """The devices of a place, and whose they are."""
    name = restored(request.path_params["location"])
    after = request.query_params.get("after", "")
    found = visitor.services.mapping.devices_at(visitor.principal, name, after=after, limit=DEVICES_MAX)
    return page("location.html", **visitor.frame("locations"), name=name, devices=found)


def _listed(request: Request, visitor: Visitor) -> dict[str, Any]:
    whose = restored(request.path_params["technician_id"])
    before = request.query_params.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) <= _DIGITS_MAX):
        raise InvalidInputError("This page of the list is none.", field="before")
    found = visitor.services.technicians.anomalies(
        visitor.principal,
        whose,
        unresolved=True,
        before=None if before is None else int(before),
        limit=ANOMALIES_MAX,
    )
    return {
        "technician": whose,
        "shown": visitor.services.colleagues.shown(
            visitor.principal, [each.assignee for each in found.anomalies]
        ),
        "freshness": None,  # the page says it of its devices
        "anomalies": found.anomalies,
        "older": None if found.before is None else f"?before={found.before}",
        "before": before,
        "empty": "Nothing is unresolved at these devices.",
    }
