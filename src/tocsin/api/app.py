"""Puts the resources together to one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from tocsin import __version__
from tocsin.api import (
    actions,
    anomalies,
    audit,
    credentials,
    dead_letters,
    device_dumps,
    devices,
    dictionary,
    digest,
    dumps,
    episodes,
    events,
    feedback,
    health,
    keys,
    locations,
    logs,
    maintenance,
    me,
    people,
    query,
    short,
    stream,
    technicians,
    uploads,
)
from tocsin.api.holders import holder_of, known_holder_of
from tocsin.api.limits import RequestGuard, RequestLimits
from tocsin.api.measuring import RequestMeter
from tocsin.api.names import EncodedNames
from tocsin.api.openapi import describe
from tocsin.api.otlp_errors import OtlpErrors
from tocsin.api.problems import MissingPage, install
from tocsin.api.security import SecurityHeaders
from tocsin.api.turns import TelemetryTurns
from tocsin.api.tus import TusHeaders
from tocsin.services.bundle import Services

_ROUTERS: Final[tuple[APIRouter, ...]] = (
    events.router,
    logs.router,
    anomalies.router,
    dictionary.router,  # both before actions, whose address would take that of one of theirs
    feedback.router,
    actions.router,
    episodes.router,
    devices.router,
    maintenance.router,
    technicians.lists,
    technicians.router,
    locations.router,
    device_dumps.router,
    dumps.router,
    uploads.router,
    stream.router,
    short.router,
    credentials.router,
    people.router,
    keys.router,
    me.router,
    audit.router,
    digest.router,
    dead_letters.router,
    query.router,
    health.router,
)
_DESCRIPTION: Final = (
    "Watches fleets of IoT devices: keeps every record, learns what is normal, and proves every alarm. "
    "Send a credential as `Authorization: Bearer …`. Errors are problem details (RFC 9457) with a stable "
    "`code`. Names in addresses are percent-encoded. Times are RFC 3339 or milliseconds since 1970."
)


def create_app(
    services: Services,
    *,
    limits: RequestLimits | None = None,
    pages: Sequence[BaseRoute] = (),
    missing: MissingPage | None = None,
) -> FastAPI:
    """The application over these services.

    `pages` are routes for people, such as `web.routes(services)`, and `missing` is what a browser gets for
    an address that there is not, such as `web.missing(services)`.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.stream.close()

    app = bare_app(lifespan)
    app.state.services = services
    app.router.routes.extend(pages)
    install(app, missing)
    app.add_middleware(RequestGuard, limits=limits or RequestLimits(), holder_of=partial(holder_of, services))
    app.add_middleware(TusHeaders)
    app.add_middleware(EncodedNames)
    app.add_middleware(RequestMeter, meters=services.meters, tracing=services.tracing)
    app.state.waiting = set()
    app.add_middleware(
        TelemetryTurns,
        holder_of=partial(known_holder_of, services),
        meters=services.meters,
        waiting=app.state.waiting,
    )
    app.add_middleware(OtlpErrors)
    app.add_middleware(SecurityHeaders)
    return app


def bare_app(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The operations alone, without anything behind them: enough for their description."""
    app = FastAPI(
        title="Tocsin",
        version=__version__,
        summary="Readings in, proved anomalies out.",
        description=_DESCRIPTION,
        docs_url=None,  # its page loads scripts from elsewhere, which the security headers forbid
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)  # as they are: including a router analyses each route again
    app.openapi = _once(app)  # type: ignore[method-assign]
    return app


def _once(app: FastAPI) -> Any:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    return document
