"""Records the metrics of metrics.py through OpenTelemetry, for Prometheus and for a collector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry import metrics as api
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from tocsin import threads
from tocsin.observability.collector import Collector
from tocsin.observability.metrics import Counter, Gauge, Histogram, Metric, UpDownCounter, all_metrics

PROMETHEUS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Reader = Callable[[api.CallbackOptions], Iterable[api.Observation]]


class Meters:
    """The instruments of one process. Thread-safe; counting takes about a microsecond, an entry some twenty.

    So enter values once a batch. What is counted is summed up here and read when metrics are collected.

    Each has a registry of its own, so several may live side by side (tests do that). Recording with an
    attribute that the metric does not declare raises ValueError.
    """

    def __init__(self, collector: Collector | None = None, *, resource: Resource | None = None) -> None:
        self._registry = CollectorRegistry()
        readers: list[MetricReader] = [
            PrometheusMetricReader(
                disable_target_info=True, scope_info_enabled=False, registry=self._registry
            )
        ]
        if collector is not None:
            readers.append(_sending(collector))
        self._provider = MeterProvider(readers, resource=resource or Resource.get_empty())
        self._observed: dict[Gauge, dict[Labels, Callable[[], float]]] = {}
        self._sums: dict[Metric, dict[Labels, float]] = {}
        self._lock = threads.brief_lock()
        self._closed = False
        self._make_instruments(self._provider.get_meter("tocsin"))

    def add(self, metric: Counter, amount: float, **attributes: str) -> None:
        """Count `amount` ≥ 0 more."""
        self._sum(metric, amount, attributes)

    def change(self, metric: UpDownCounter, amount: float, **attributes: str) -> None:
        """Count `amount` more, or less where it is negative."""
        self._sum(metric, amount, attributes)

    def record(self, metric: Histogram, value: float, **attributes: str) -> None:
        """Enter one value, in the metric's unit."""
        _check(metric, attributes)
        self._histograms[metric].record(value, attributes)

    def set(self, metric: Gauge, value: float, **attributes: str) -> None:
        """The value from now on."""
        self.observe(metric, lambda: value, **attributes)

    def observe(self, metric: Gauge, read: Callable[[], float], **attributes: str) -> None:
        """Ask `read` whenever metrics are collected, from any thread; it must be quick.

        A second call with the same attributes replaces the first.
        """
        _check(metric, attributes)
        with self._lock:
            self._observed.setdefault(metric, {})[tuple(sorted(attributes.items()))] = read

    def render_prometheus(self) -> bytes:
        """All metrics in Prometheus' text format (PROMETHEUS_CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Send what is left to the collector, and stop; idempotent."""
        if not self._closed:
            self._closed = True
            self._provider.shutdown()

    def _sum(self, metric: Counter | UpDownCounter, amount: float, attributes: Mapping[str, str]) -> None:
        _check(metric, attributes)
        labels = tuple([(name, attributes[name]) for name in metric.attributes])
        with self._lock:
            sums = self._sums.setdefault(metric, {})
            sums[labels] = sums.get(labels, 0) + amount

    def _make_instruments(self, meter: api.Meter) -> None:
        self._histograms: dict[Histogram, api.Histogram] = {}
        for metric in all_metrics():
            named = {"name": metric.name, "unit": metric.unit, "description": metric.description}
            if isinstance(metric, Counter):
                meter.create_observable_counter(**named, callbacks=[self._summed(metric)])
            elif isinstance(metric, UpDownCounter):
                meter.create_observable_up_down_counter(**named, callbacks=[self._summed(metric)])
            elif isinstance(metric, Histogram):
                self._histograms[metric] = meter.create_histogram(
                    **named, explicit_bucket_boundaries_advisory=metric.buckets
                )
            elif isinstance(metric, Gauge):
                meter.create_observable_gauge(**named, callbacks=[self._reader_of(metric)])

    def _summed(self, metric: Counter | UpDownCounter) -> Reader:
        def read(_: api.CallbackOptions) -> Iterable[api.Observation]:
            with self._lock:
                sums = list(self._sums.get(metric, {}).items())
            return [api.Observation(total, dict(labels)) for labels, total in sums]

        return read

    def _reader_of(self, metric: Gauge) -> Reader:
        def read(_: api.CallbackOptions) -> Iterable[api.Observation]:
            with self._lock:
                sources = list(self._observed.get(metric, {}).items())
            return [api.Observation(source(), dict(labels)) for labels, source in sources]

        return read


def _sending(collector: Collector) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - few have a collector
        OTLPMetricExporter,
    )

    exporter = OTLPMetricExporter(collector.url("v1/metrics"), headers=dict(collector.headers))
    return PeriodicExportingMetricReader(exporter, export_interval_millis=collector.interval_s * 1000)


def _check(metric: Metric, attributes: Mapping[str, str]) -> None:
    if tuple(attributes) != metric.attributes and set(attributes) != set(metric.attributes):
        raise ValueError(f"{metric.name} is recorded with {sorted(attributes)}, not {metric.attributes}")
