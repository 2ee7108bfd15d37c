"""A whole server in this process that hands its spans over, and does within seconds what comes hourly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proof.endpoints.graph import Graph, graph_of
from proof.endpoints.tour import HOT, NEWCOMERS, POISONED, PRESS, PUMP, TAUGHT, Tour, wait_until
from tocsin.bootstrap import Application
from tocsin.bootstrap.settings import pace_of
from tocsin.clock import SystemClock
from tocsin.config import Config
from tocsin.observability.tracing import Tracing
from tocsin.services.sessions import CSRF_HEADER, SESSION_COOKIE, Place
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService

_PATIENCE_S: Final = 30.0
_LATE_S: Final = 0.25
"""What is taken up once is linked once: on a machine with much to do a call may know of its record late."""
_YEAR_MS: Final = 366 * 86_400_000


@contextmanager
def third_party() -> Iterator[str]:
    """A simulated directory of the tour's devices; its address."""
    clock = SystemClock()
    mapping = SimulatedMapping([PUMP, PRESS, POISONED, TAUGHT, *NEWCOMERS], 2, start_ms=clock.now_ms())
    with SimulatedDirectoryServer(SimulatedService(mapping, clock)) as server:
        yield server.url


def config_of(data: Path, *, devices_max: int, directory: str) -> Config:
    """A server on a free port with a directory; a hot reading is an episode at once."""
    settings: dict[str, Any] = {
        "data": data,
        "http": {"port": 0},
        "log": {"partitions": 2},
        "ingest": {"devices_per_tenant_max": devices_max},
        "lake": {"flush_s": 0.3},
        "directories": {"default": {"url": directory}},
        "processing": {"checkpoint_interval_s": 0.5, "correction_interval_s": 0.5},
        "watch": {
            "parameters": {"temperature": {"lower": 0, "upper": HOT / 5}},
            "policy": {"open_after_s": 0, "open_readings": 1},
            "dump_detectors": {"counting": {}},
        },
    }
    return Config(**settings)


@contextmanager
def serving(config: Config, spans: list[ReadableSpan]) -> Iterator[tuple[Application, InMemorySpanExporter]]:
    """A server that its user starts; at the end `spans` has all that it told."""
    exporter = InMemorySpanExporter()
    tracing = Tracing(processors=[SimpleSpanProcessor(exporter)])
    pace = replace(pace_of(config), tick_s=0.5, idle_s=0.1)
    with patch.multiple("tocsin.bootstrap.application", MINUTE_S=0.7, HOUR_S=1.3, MEMORY_S=0.9):
        application = Application(config, pace=pace, tracing=tracing)
    with patch("tocsin.traced.LATE_S", _LATE_S):
        try:
            yield application, exporter
        finally:
            application.stop()
            spans += exporter.get_finished_spans()


def toured(data: Path, enough: Callable[[Graph], bool]) -> Graph:
    """The graph of two lives of a server, in the second of which everything was asked for.

    In the first one device too many sent something, which the second would take. Only its start logs
    settings, so it lasts until a round of the lake has taken them up: what the lake takes up while it is
    stopped is no round. What depends on the moment is asked for again until there is `enough`, or half a
    minute has passed.
    """
    spans: list[ReadableSpan] = []
    with third_party() as directory:
        with serving(config_of(data, devices_max=1, directory=directory), spans) as (application, exporter):
            key = application.bootstrap_admin() or ""
            application.start()
            with touring(application, key) as tour:
                tour.events(tour.event(PUMP, -70))
                letter = tour.refused_line("pump-2")
                wait_until(lambda: _is_kept(exporter, "start"))
        with serving(config_of(data, devices_max=100, directory=directory), spans) as (application, exporter):
            application.start()
            with touring(application, key) as tour:
                tour.everything(letter)
                end_s = time.monotonic() + _PATIENCE_S
                with patch("tocsin.services.uploads._EXPIRY_MARGIN_MS", -_YEAR_MS):  # unfinished ones go now
                    while not enough(graph_of([*spans, *exporter.get_finished_spans()])):
                        if time.monotonic() > end_s:
                            break
                        tour.again()
    return graph_of(spans)


def _is_kept(exporter: InMemorySpanExporter, job: str) -> bool:
    """Whether a round of the lake took up what the job has logged."""
    traces = graph_of(exporter.get_finished_spans()).jobs.get(job, [])
    return any("lake" in trace.sets_going for trace in traces)


@contextmanager
def touring(application: Application, key: str) -> Iterator[Tour]:
    """A client of the server, closed at the end."""

    def signed_in(name: str, password: str) -> dict[str, str]:
        sessions = application.services.sessions
        cookie = sessions.by_password(name, password, Place("127.0.0.1", "tour")).result().cookie
        return {"Cookie": f"{SESSION_COOKIE}={cookie}", CSRF_HEADER: sessions.find(cookie).csrf}

    tour = Tour(application.server.url, key, application.clock.now_ms(), signed_in)
    try:
        yield tour
    finally:
        tour.close()
