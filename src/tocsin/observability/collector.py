"""Where metrics and traces are sent, if anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tocsin.config.sections import ObservabilityConfig


@dataclass(frozen=True, slots=True)
class Collector:
    """An OpenTelemetry collector that speaks OTLP over HTTP. `headers` are secret and stay out of repr."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    interval_s: float = 15.0

    def url(self, path: str) -> str:
        """The address for one kind of signal.

        >>> Collector("https://collector.example/").url("v1/traces")
        'https://collector.example/v1/traces'
        """
        return f"{self.endpoint.rstrip('/')}/{path}"


def collector_of(config: ObservabilityConfig) -> Collector | None:
    """The collector that the configuration names, None if it names none."""
    if config.otlp_endpoint is None:
        return None
    headers = {name: value.get_secret_value() for name, value in config.otlp_headers.items()}
    return Collector(str(config.otlp_endpoint), headers, config.otlp_interval_s)
