"""Traces: the way of one request from its first byte to its anomaly, as spans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tocsin.observability.collector import Collector

Value = str | bool | int | float


JOB: Final = "tocsin.job"
DEPENDENCY: Final = "tocsin.dependency"


class SpanName(StrEnum):
    """The steps of a request that are traced, in the order a record goes through them."""

    REQUEST = "request"
    PARSE = "parse"
    APPEND = "append"


class Tracing:
    """Makes spans; without a collector or processor they cost next to nothing and go nowhere.

    A request's spans lie inside each other. Jobs work on what came of many requests, so each of their rounds
    is a trace of its own; a call that takes up what others have handed on links to the calls that did (see
    `tocsin.traced`). There are spans for requests, rounds and calls, never for records.
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
            active.append(_sending(collector))
        if active:
            sampler = ParentBased(TraceIdRatioBased(ratio))
            self._provider = TracerProvider(sampler, resource or Resource.get_empty())
            for processor in active:
                self._provider.add_span_processor(processor)
            self._tracer = self._provider.get_tracer("tocsin")

    @property
    def active(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

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

    @contextmanager
    def job(self, name: str) -> Iterator[api.Span]:
        """The outermost span of one round of a job."""
        with self._tracer.start_as_current_span(
            name, Context(), attributes={JOB: name}, record_exception=False
        ) as span:
            yield span

    def job_over(self, name: str, took_s: float, links: Sequence[api.SpanContext]) -> None:
        """A round of a job that has just ended and was not in a span, with the calls that it served."""
        start_ns = time.time_ns() - round(took_s * 1e9)
        linked = [api.Link(context) for context in links]
        self._tracer.start_span(
            name, Context(), attributes={JOB: name}, links=linked, start_time=start_ns
        ).end()

    def call(self, dependency: str, method: str) -> api.Span:
        """A span inside the current one, for a call of a dependency; the caller ends it, in any thread."""
        return self._tracer.start_span(f"{dependency}.{method}", attributes={DEPENDENCY: dependency})

    def close(self) -> None:
        """Send what is left, and stop; idempotent."""
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None


def _sending(collector: Collector) -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - few have a collector
        OTLPSpanExporter,
    )

    return BatchSpanProcessor(OTLPSpanExporter(collector.url("v1/traces"), headers=dict(collector.headers)))


def current_context() -> api.SpanContext:
    """What names the current span, to be linked to from another thread; invalid when there is none."""
    return api.get_current_span().get_span_context()
