"""What answers requests. Only who serves imports it: it would be a quarter of the start of other commands."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from tocsin import web
from tocsin.api.app import create_app
from tocsin.api.limits import RequestLimits
from tocsin.api.server import HttpServer
from tocsin.config import Config
from tocsin.services.bundle import Services

ANSWER_SPARE_S: Final = 15.0


def app_of(config: Config, services: Services) -> FastAPI:
    """The interface and the pages over these services."""
    return create_app(
        services,
        limits=_limits(config),
        pages=web.routes(services),
        missing=web.missing(services),
    )


def server_of(app: FastAPI, config: Config, services: Services) -> HttpServer:
    """It does not listen yet; ConfigError for files of TLS that are not what they should be."""
    return HttpServer(app, config.http, services.stream, idle_s=config.query.timeout_s + ANSWER_SPARE_S)


def _limits(config: Config) -> RequestLimits:
    return RequestLimits(
        events_bytes_max=config.http.body_bytes_max,
        requests_max=config.http.concurrency_max,
        idle_s=config.http.body_idle_timeout_s,
        bytes_per_s_min=config.http.body_bytes_per_s_min,
        body_s=config.http.request_timeout_s,
        bytes_in_flight_max=config.http.bytes_in_flight_max,
        dump_bytes_max=config.dumps.bytes_max,
        dump_s=config.dumps.upload_s,
    )
