"""Metrics, logs and traces: all of them typed, cheap and without secrets."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tocsin.config import load_config
from tocsin.observability import metrics
from tocsin.observability.collector import Collector, collector_of
from tocsin.observability.logging import configure_logging, get_logger
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import (
    Counter,
    Gauge,
    Histogram,
    UpDownCounter,
    all_metrics,
    prometheus_name,
    render_reference,
)
from tocsin.observability.tracing import SpanName, Tracing, current_context

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
TOKEN = "tcs_k7_c2VjcmV0LXNlY3JldA-_x"


@pytest.fixture
def meters() -> Iterator[Meters]:
    """Instruments that send nowhere."""
    made = Meters()
    yield made
    made.close()


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """Where configured logs go; the root logger is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield io.StringIO()
    root.handlers, _ = before
    root.setLevel(before[1])


def test_every_metric_says_what_to_do() -> None:
    """Each metric has a unit, a description and a remedy, and a name of its own under `tocsin.`."""
    names = [metric.name for metric in all_metrics()]
    assert len(set(names)) == len(names) > 20
    for metric in all_metrics():
        assert metric.name.startswith("tocsin.")
        assert metric.unit
        assert metric.description.endswith(".")
        assert metric.remedy.endswith(".")


def test_every_metric_is_recorded_by_something() -> None:
    """A metric that nothing records reads as 0 for ever, and its remedy never comes up."""
    names = [name for name, kind in vars(metrics).items() if isinstance(kind, Counter | Gauge | Histogram)]
    package = Path(metrics.__file__).parents[1]
    sources = [path for path in package.rglob("*.py") if path != Path(metrics.__file__)]
    used = set(re.findall(r"\b[A-Z][A-Z_]+\b", "\n".join(path.read_text() for path in sources)))
    assert set(names) - used == set()


def test_metrics_page_is_up_to_date() -> None:
    """The page equals what the types say; write it anew with `python -m tocsin.observability`."""
    assert PAGE.read_text() == render_reference()


def test_prometheus_shows_every_metric_under_its_documented_name(meters: Meters) -> None:
    """Whatever is recorded appears under the name that the page gives it."""
    for metric in all_metrics():
        attributes = dict.fromkeys(metric.attributes, "x")
        if isinstance(metric, Counter):
            meters.add(metric, 1, **attributes)
        elif isinstance(metric, UpDownCounter):
            meters.change(metric, 1, **attributes)
        elif isinstance(metric, Histogram):
            meters.record(metric, 1, **attributes)
        elif isinstance(metric, Gauge):
            meters.set(metric, 1, **attributes)
    shown = meters.render_prometheus().decode()
    kinds = dict(line.split()[2:4] for line in shown.splitlines() if line.startswith("# TYPE"))
    known = {prometheus_name(metric): metric.kind for metric in all_metrics()}
    assert kinds == {name: kind.replace("updowncounter", "gauge") for name, kind in known.items()}


def test_counters_add_up_by_attribute(meters: Meters) -> None:
    """Adds with equal attributes are one sum."""
    meters.add(metrics.INGEST_LINES, 5, outcome="accepted")
    meters.add(metrics.INGEST_LINES, 2, outcome="accepted")
    meters.add(metrics.INGEST_LINES, 1, outcome="rejected")
    shown = meters.render_prometheus().decode()
    assert 'tocsin_ingest_lines_total{outcome="accepted"} 7.0' in shown
    assert 'tocsin_ingest_lines_total{outcome="rejected"} 1.0' in shown


def test_gauges_are_read_when_asked(meters: Meters) -> None:
    """An observed gauge shows the value at the time of asking; observing again replaces the source."""
    depth = [3]
    meters.observe(metrics.PROCESSOR_LAG, lambda: depth[0], partition="0")
    depth[0] = 9
    assert 'tocsin_processor_lag{partition="0"} 9.0' in meters.render_prometheus().decode()
    meters.observe(metrics.PROCESSOR_LAG, lambda: 1, partition="0")
    assert 'tocsin_processor_lag{partition="0"} 1.0' in meters.render_prometheus().decode()


def test_undeclared_attributes_are_refused(meters: Meters) -> None:
    """An attribute that the definition does not name is a bug, found at once."""
    with pytest.raises(ValueError, match=r"tocsin\.ingest\.lines"):
        meters.add(metrics.INGEST_LINES, 1, device="pump-7")


def test_two_sets_of_meters_do_not_mix(meters: Meters) -> None:
    """Instruments belong to their Meters, not to the process."""
    other = Meters()
    other.add(metrics.HTTP_BODY_BYTES, 1)
    assert b"tocsin_http_body_bytes_total" not in meters.render_prometheus()
    other.close()
    other.close()


@pytest.mark.parametrize("form", ["json", "console"])
def test_tokens_never_appear_in_logs(log_stream: io.StringIO, form: str) -> None:
    """No message, nested field, library's log or traceback shows a secret, not even as a local variable."""
    configure_logging("debug", form, log_stream)
    log = get_logger("ingest")
    log.info(f"token {TOKEN}", headers=[("x", TOKEN)], authorization="Basic abc", key_id="k7")
    logging.getLogger("some.library").warning("got %s", TOKEN)
    try:
        secret = "-".join(["local", "secret"])
        raise ValueError(TOKEN, len(secret))
    except ValueError:
        log.exception("failed")
    shown = log_stream.getvalue()
    assert "ValueError" in shown
    assert "c2VjcmV0" not in shown
    assert "Basic abc" not in shown
    assert "local-secret" not in shown
    assert "tcs_k7_[redacted]" in shown


def test_json_logs_are_one_object_a_line(log_stream: io.StringIO) -> None:
    """Each line parses, and has time, level, part and event; a line break in a value stays inside."""
    configure_logging("info", "auto", log_stream)
    get_logger("log").warning("two\nlines", bytes=3)
    get_logger("log").debug("below the level")
    (line,) = log_stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {"event": "two\nlines", "level": "warning", "part": "log", "bytes": 3}


def test_spans_lie_inside_the_callers_trace(log_stream: io.StringIO) -> None:
    """A request with `traceparent` continues that trace; logs inside it carry its id."""
    configure_logging("info", "json", log_stream)
    exporter = InMemorySpanExporter()
    tracing = Tracing(processors=[SimpleSpanProcessor(exporter)])
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with tracing.request({"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}, {"route": "/v1/events"}):
        with tracing.span(SpanName.PARSE, {"lines": 3}):
            get_logger("ingest").info("parsed")
        context = current_context()
    with tracing.span(SpanName.APPEND, links=[context]):
        pass
    tracing.close()
    parse, request, process = exporter.get_finished_spans()
    assert [span.name for span in (parse, request, process)] == ["parse", "request", "append"]
    assert parse.parent is not None
    assert request.context is not None
    assert parse.parent.span_id == request.context.span_id
    assert format(request.context.trace_id, "032x") == trace_id
    assert process.links[0].context.span_id == request.context.span_id
    assert json.loads(log_stream.getvalue())["trace_id"] == trace_id


def test_tracing_without_collector_does_nothing() -> None:
    """Without anywhere to send to, spans record nothing and have no context to link to."""
    tracing = Tracing()
    with tracing.span(SpanName.APPEND) as span:
        assert not span.is_recording()
        assert not current_context().is_valid
    tracing.close()


class _Collecting(BaseHTTPRequestHandler):
    received: list[tuple[str, str | None]] = []  # noqa: RUF012 one list for the test that sets it

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the base class's
        pass


def test_metrics_and_traces_reach_a_collector() -> None:
    """With an endpoint, metrics and spans arrive there over OTLP/HTTP with the secret header."""
    _Collecting.received = []
    server = HTTPServer(("127.0.0.1", 0), _Collecting)
    Thread(target=server.serve_forever, daemon=True).start()
    collector = Collector(f"http://127.0.0.1:{server.server_port}", {"Authorization": "x"})
    meters, tracing = Meters(collector), Tracing(collector)
    meters.add(metrics.HTTP_BODY_BYTES, 1)
    with tracing.span(SpanName.APPEND):
        pass
    meters.close()
    tracing.close()
    server.shutdown()
    server.server_close()
    assert set(_Collecting.received) == {("/v1/metrics", "x"), ("/v1/traces", "x")}


def test_a_collector_sends_nothing_elsewhere() -> None:
    """Whoever answers with another address gets no secret header, nor what is behind that address a body."""
    asked: list[str] = []
    redirected: list[str] = []

    class Elsewhere(_Collecting):
        def do_POST(self) -> None:
            asked.append(f"{self.path} {self.headers.get('api-key')}")
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

    class Redirecting(Elsewhere):
        def do_POST(self) -> None:
            redirected.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(308)
            self.send_header("Location", f"http://127.0.0.1:{there.server_port}/inside")
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as there, HTTPServer(("127.0.0.1", 0), Redirecting) as here:
        for server in (there, here):
            Thread(target=server.serve_forever, daemon=True).start()
        collector = Collector(f"http://127.0.0.1:{here.server_port}", {"api-key": "hunter2"})
        meters, tracing = Meters(collector), Tracing(collector)
        meters.add(metrics.HTTP_BODY_BYTES, 1)
        with tracing.job("ticks"):
            pass
        meters.close()
        tracing.close()
        there.shutdown()
        here.shutdown()
    assert set(redirected) == {"/v1/metrics", "/v1/traces"}
    assert asked == []


def test_collector_follows_the_configuration(tmp_path: Path) -> None:
    """No endpoint, no collector; with one, its secret headers stay out of repr."""
    assert collector_of(load_config().observability) is None
    file = tmp_path / "c.yaml"
    file.write_text("observability: {otlp_endpoint: 'http://c:4318', otlp_headers: {authorization: hunter2}}")
    collector = collector_of(load_config(file).observability)
    assert collector is not None
    assert collector.url("v1/traces") == "http://c:4318/v1/traces"
    assert collector.headers == {"authorization": "hunter2"}
    assert "hunter2" not in repr(collector)


def test_requests_that_tocsin_sends_are_not_logged_one_by_one(log_stream: io.StringIO) -> None:
    """A client of ten thousand devices would bury what people should read."""
    configure_logging("info", "json", log_stream)
    logging.getLogger("httpx").info("HTTP Request: GET …")
    logging.getLogger("httpx").warning("broken")
    assert [json.loads(line)["event"] for line in log_stream.getvalue().splitlines()] == ["broken"]
