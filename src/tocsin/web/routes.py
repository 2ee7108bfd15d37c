"""Addresses of the pages, to be added to the application."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tocsin.services.bundle import Services
from tocsin.web import mapping, pages
from tocsin.web.account import account, change_password, end_session
from tocsin.web.account_keys import make_key, revoke_key
from tocsin.web.act_form import act_form
from tocsin.web.assets import serve_asset
from tocsin.web.feedback import feedback, feedback_form
from tocsin.web.inbox import inbox, inbox_live, start
from tocsin.web.maintenance import maintenance, maintenance_form
from tocsin.web.signin import SignIn
from tocsin.web.visitor import Handler, guarded


def missing(services: Services) -> Callable[[Request], Response]:
    """What a visitor gets for an address without a page."""
    return guarded(services, pages.nowhere)


def routes(services: Services) -> Sequence[BaseRoute]:
    """Every page over these services."""
    signin = SignIn(services)

    def shown(path: str, handler: Handler, *, unsettled: bool = False) -> Route:
        return Route(path, guarded(services, handler, unsettled=unsettled), name=handler.__name__)

    return (
        shown("/", start),
        shown("/fleet", pages.fleet),
        shown("/live", pages.fleet_live),
        shown("/inbox", inbox),
        shown("/inbox/live", inbox_live),
        shown("/anomalies/{anomaly_id}", pages.anomaly),
        shown("/anomalies/{anomaly_id}/live", pages.anomaly_live),
        Route("/anomalies/{anomaly_id}", act_form(services), methods=["POST"]),
        Route("/anomalies/{anomaly_id}/feedback", guarded(services, feedback), methods=["GET"]),
        Route("/anomalies/{anomaly_id}/feedback", feedback_form(services), methods=["POST"]),
        shown("/anomalies/{anomaly_id}/proof/{episode_id}", pages.proof),
        shown("/devices/{device}", pages.device),
        shown("/technicians/{technician_id}", mapping.technician),
        shown("/technicians/{technician_id}/live", mapping.technician_live),
        shown("/locations", mapping.locations),
        shown("/locations/{location}", mapping.location),
        Route("/maintenance", guarded(services, maintenance), methods=["GET"]),
        Route("/maintenance", maintenance_form(services), methods=["POST"]),
        shown("/health", pages.health),
        shown("/account", account, unsettled=True),
        Route("/account/password", change_password(services), methods=["POST"]),
        Route("/account/keys", make_key(services), methods=["POST"]),
        Route("/account/keys/revoke", revoke_key(services), methods=["POST"]),
        Route("/account/sessions", end_session(services), methods=["POST"]),
        Route("/login", signin.show, methods=["GET"]),
        Route("/login", signin.enter, methods=["POST"]),
        Route("/logout", signin.leave, methods=["POST"]),
        Route("/static/{name}", serve_asset),
    )
