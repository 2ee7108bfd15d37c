"""Traces: the way of one request from its first byte to its anomaly, as spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tocsin.observability.collector import Collector

Value = str | bool | int | float


class SpanName(StrEnum):
    """The steps that are traced, in the order a record goes through them."""

    REQUEST = "request"
    PARSE = "parse"
    APPEND = "append"
    PROCESS = "process"
    COMMIT = "commit"
    FOLD = "fold"


class Tracing:
    """Makes spans; without a collector or processor they cost next to nothing and go nowhere.

    A request's spans lie inside each other. The processor works on batches made of many requests, so its
    spans start traces of their own and link to the requests they come from.
    """

    def __init__(
        self,
        collector: Collector | None = None,
        *,
        ratio: float = 1.0,
        processors: Sequence[SpanProcessor] = (),
        resource: Resource | None = None,
    ) -> None:
        self._provider: TracerProvider | None = None
        self._tracer: api.Tracer = api.NoOpTracer()
        active = list(processors)
        if collector is not None:
            exporter = OTLPSpanExporter(collector.url("v1/traces"), headers=dict(collector.headers))
            active.append(BatchSpanProcessor(exporter))
        if active:
            sampler = ParentBased(TraceIdRatioBased(ratio))
            self._provider = TracerProvider(sampler, resource or Resource.get_empty())
            for processor in active:
                self._provider.add_span_processor(processor)
            self._tracer = self._provider.get_tracer("tocsin")

    @contextmanager
    def span(
        self,
        name: SpanName,
        attributes: Mapping[str, Value] | None = None,
        *,
        links: Sequence[api.SpanContext] = (),
    ) -> Iterator[api.Span]:
        """A span around the block, inside the current one; an exception marks it as failed.

        Attributes name counts and codes, never values of devices or credentials.
        """
        linked = [api.Link(context) for context in links if context.is_valid]
        with self._tracer.start_as_current_span(name.value, attributes=attributes, links=linked) as span:
            yield span

    def begin(self, name: SpanName) -> api.Span:
        """A span inside the current one that the caller ends, in any thread."""
        return self._tracer.start_span(name.value)

    @contextmanager
    def request(self, headers: Mapping[str, str], attributes: Mapping[str, Value]) -> Iterator[api.Span]:
        """The outermost span of a request, inside the caller's trace if `traceparent` names one."""
        context = TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span(
            SpanName.REQUEST.value, context, api.SpanKind.SERVER, attributes
        ) as span:
            yield span

    def close(self) -> None:
        """Send what is left, and stop; idempotent."""
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None


def current_context() -> api.SpanContext:
    """What names the current span, to be linked to from another thread; invalid when there is none."""
    return api.get_current_span().get_span_context()
