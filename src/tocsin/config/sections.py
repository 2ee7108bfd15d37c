"""The types of the configuration; docs/reference/configuration.md is generated from them.

Units are last in the names. Every field has a description, which the reference page repeats.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FilePath, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tocsin.config.directories import DirectoryConfig
from tocsin.config.section import Section
from tocsin.config.watch import WatchConfig
from tocsin.control import Settings
from tocsin.tenant_names import TENANT_RULE, is_tenant_name

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


def _tenant_name(name: str) -> str:
    if not is_tenant_name(name):
        raise ValueError(TENANT_RULE)
    return name


Bytes = Annotated[int, Field(ge=4 * KIB, le=64 * GIB)]
Keep = Literal["abnormal", "all"]
Seconds = Annotated[float, Field(ge=0.01, le=86_400, allow_inf_nan=False)]
TenantName = Annotated[str, AfterValidator(_tenant_name)]
LongSeconds = Annotated[float, Field(ge=0.01, le=366 * 86_400, allow_inf_nan=False)]


class HttpConfig(Section):
    """Where requests come in, and how much of them is taken."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default is reachable from this machine alone.",
        min_length=1,
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    tls_cert: FilePath | None = Field(
        default=None, description="Certificate chain (PEM file). With `tls_key`: requests come over TLS only."
    )
    tls_key: FilePath | None = Field(default=None, description="Private key of the certificate (PEM file).")
    body_bytes_max: Bytes = Field(
        default=64 * MIB, description="Largest body in bytes, also after decompression; above it: 413."
    )
    bytes_in_flight_max: Bytes = Field(
        default=256 * MIB,
        description="Bytes of bodies held at the same time, all requests together; above it: 503.",
    )
    concurrency_max: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Requests worked on at the same time; above it: 503 with Retry-After. One tenant alone "
        "gets three quarters of the places, one credential half; above that: 429.",
    )
    connections_max: int = Field(
        default=4_096,
        ge=16,
        le=1_000_000,
        description="Connections open at the same time; in a crowd, idle ones of who has most are closed.",
    )
    request_timeout_s: Seconds = Field(
        default=30,
        description="Seconds until a request that is still being received or answered is given up.",
    )
    body_idle_timeout_s: Seconds = Field(
        default=10, description="Seconds until the next piece of a body must have come; else 408."
    )
    body_bytes_per_s_min: int = Field(
        default=1024,
        ge=1,
        le=1 << 30,
        description="Least bytes per second of a body, which may be `body_idle_timeout_s` behind; else 408.",
    )
    streams_max: int = Field(
        default=200,
        ge=0,
        le=65_536,
        description="Live views (server-sent events) open at the same time; above it: 503. One tenant alone "
        "gets three quarters of the places.",
    )

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key must be given together")
        return self

    @model_validator(mode="after")
    def _room_for_one_body(self) -> Self:
        if self.bytes_in_flight_max < self.body_bytes_max:
            raise ValueError(
                f"bytes_in_flight_max ({self.bytes_in_flight_max}) must be at least "
                f"body_bytes_max ({self.body_bytes_max})"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class IngestConfig(Section):
    """What is accepted from devices."""

    live_within_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=600, description="An event whose stamp lies at most so many seconds from its arrival is live."
    )
    clock_ahead_max_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=300,
        description="A stamp further than so many seconds in the future marks the device's clock as wrong.",
    )
    threads: int = Field(default=2, ge=1, le=1_024, description="Threads that parse bodies.")
    lines_per_body_max: int = Field(
        default=100_000, ge=1, le=10_000_000, description="Lines of one body; above it the body is refused."
    )
    dead_letters_per_body_max: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000,
        description="Refused lines of one body that are kept as dead letters; further ones are counted.",
    )
    devices_per_tenant_max: int = Field(
        default=200_000,
        ge=1,
        le=10_000_000,
        description="Devices of one tenant; a new one above it is refused as `cardinality_limit`.",
    )
    fields_per_device_max: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Parameters and text fields of one device; a new one above it: `cardinality_limit`.",
    )
    series_per_tenant_max: int = Field(
        default=5_000_000,
        ge=1,
        le=100_000_000,
        description="Series of one tenant; a new one above it is refused as `cardinality_limit`.",
    )


class DumpsConfig(Section):
    """Archives of logs that devices send."""

    bytes_max: Bytes = Field(default=1 * GIB, description="Largest dump in bytes; above it: 413.")
    upload_s: Seconds = Field(default=3_600, description="Seconds that one dump may take to come; else 408.")
    uploads_max: int = Field(
        default=16, ge=1, le=4_096, description="Dumps on their way at the same time; above it: 503."
    )
    unfinished_s: LongSeconds = Field(
        default=604_800, description="Seconds that an upload which is not finished is kept after it began."
    )
    unfinished_per_device_max: int = Field(
        default=64,
        ge=1,
        le=1_000_000,
        description="Uploads of a device that are not finished; above it: 429.",
    )
    threads: int = Field(
        default=2, ge=1, le=1_024, description="Threads that write dumps to the disk and prove archives."
    )
    workers: int = Field(
        default=2, ge=1, le=256, description="Greatest number of worker processes of dump detectors."
    )
    workers_min: int = Field(
        default=0, ge=0, le=256, description="Workers that are kept ready while there is nothing to do."
    )
    step_s: Seconds = Field(
        default=60,
        description="Seconds that a dump detector may take for a dump, without what it waits for a processor "
        "(up to nine times as much); then its step has failed.",
    )
    step_memory_bytes: Annotated[int, Field(ge=64 * MIB, le=1024 * GIB)] = Field(
        default=1 * GIB,
        description="Bytes of memory that a worker may use beyond what it holds at its start.",
    )
    members_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Members of an archive; above it: `zip_limit`."
    )
    unpacked_bytes_max: Bytes = Field(
        default=16 * GIB, description="Bytes that an archive unpacks to; above it: `zip_limit`."
    )
    member_bytes_max: Bytes = Field(
        default=8 * GIB, description="Bytes that one member unpacks to; above it: `zip_limit`."
    )
    ratio_max: int = Field(
        default=250,
        ge=10,
        le=100_000,
        description="How many times as large as it is packed a member over 1 MiB may be; else `zip_limit`.",
    )
    gz_streams_max: int = Field(
        default=500_000,
        ge=1,
        le=1_000_000_000,
        description="Gzip streams that the .gz members of an archive have; above it: `zip_limit`.",
    )


class LogsConfig(Section):
    """Lines of logs that devices stream, and how they are cut into dumps for dump detectors."""

    window_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=300,
        description="Seconds of a device's lines that make a dump, by the times of its lines.",
    )
    window_bytes_max: Annotated[int, Field(ge=MIB, le=GIB)] = Field(
        default=32 * MIB, description="Bytes of lines at which a dump is made sooner."
    )
    quiet_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=60,
        description="Seconds without a line, behind its time, after which a dump is made of what there is.",
    )
    memory_bytes: Annotated[int, Field(ge=MIB, le=64 * GIB)] = Field(
        default=64 * MIB,
        description="Bytes of lines that wait in memory for their window to end; more wait on the disk.",
    )


class LogConfig(Section):
    """The durable log that every record enters before it is acknowledged."""

    partitions: int = Field(
        default=4,
        ge=1,
        le=4_096,
        description="Number of partitions, the unit of parallelism. Fixed once the data folder exists.",
    )
    segment_bytes: Bytes = Field(
        default=256 * MIB,
        description="Size in bytes at which a new segment file is begun; whole segments are trimmed.",
    )
    queue_bytes: Bytes = Field(
        default=64 * MIB, description="Bytes waiting to be synced; above it: 503 with Retry-After."
    )
    dead_letters_max: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Dead letters of one tenant that are kept once their segment is trimmed; the oldest go.",
    )
    dead_letters_bytes: Bytes = Field(
        default=256 * MIB, description="Bytes of one tenant's dead letters that are kept then; the oldest go."
    )
    answers_bytes: Bytes = Field(
        default=16 * GIB,
        description="Bytes of one tenant's answers that are kept for 24 hours, so that a repeated request "
        "hears them again; above it a new `Idempotency-Key` or sequence gets 429. At least two segments.",
    )

    @model_validator(mode="after")
    def _room_for_answers(self) -> Self:
        if self.answers_bytes < 2 * self.segment_bytes:
            raise ValueError(
                f"answers_bytes ({self.answers_bytes}) must be at least twice "
                f"segment_bytes ({self.segment_bytes})"
            )
        return self


class LakeConfig(Section):
    """Raw records and hour aggregates as tables. Records are written when the first of these is reached."""

    flush_s: Seconds = Field(
        default=45, description="Seconds that a record waits at most before it is written to the lake."
    )
    flush_rows: int = Field(
        default=1_000_000, ge=1, le=100_000_000, description="Waiting events after which they are written."
    )
    flush_bytes: Bytes = Field(default=128 * MIB, description="Bytes written in one go, at most.")
    scores: Keep = Field(
        default="abnormal",
        description="Which scores the table `scores` gets: those of abnormal readings, or all. `all` stores "
        "a row for each reading and detector.",
    )
    scores_of_tenants: dict[TenantName, Keep] = Field(
        default={}, description="The same for single tenants: name → `abnormal` or `all`."
    )


class ProcessingConfig(Section):
    """The processor: how much it does at once, how often its state is kept, how soon it corrects."""

    steps_at_once: int = Field(
        default=2,
        ge=1,
        le=1_024,
        description="Partitions that are processed at the same time; about the cores.",
    )
    checkpoint_interval_s: Seconds = Field(
        default=10, description="Seconds between the beginnings of two rounds of checkpoints."
    )
    stop_s: Seconds = Field(
        default=60,
        description="Seconds for the last checkpoint when told to stop; then the process ends at once.",
    )
    correction_interval_s: Seconds = Field(
        default=60, description="Seconds between two looks for late readings that need a correction."
    )


class InboxConfig(Section):
    """How episodes become anomalies."""

    correlation_window_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=600,
        description="Episodes of one device that overlap or start within so many seconds have one cause.",
    )
    recurrence_window_s: Annotated[int, Field(ge=0, le=31_536_000)] = Field(
        default=86_400,
        description="An episode of the same parameters so many seconds after its end reopens an anomaly.",
    )


class QueryConfig(Section):
    """SQL of people, which runs in processes of its own."""

    timeout_s: Annotated[float, Field(ge=0.1, le=3_600, allow_inf_nan=False)] = Field(
        default=30, description="Seconds after which a query is given up: 413."
    )
    memory_bytes: Annotated[int, Field(ge=64 * MIB, le=1024 * GIB)] = Field(
        default=1 * GIB, description="Bytes of memory that one query may use; what needs more: 413."
    )
    at_once_max: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Queries at the same time; above it: 503. One tenant alone gets half of the places.",
    )


class AccessConfig(Section):
    """How much a credential may use, and how long it is remembered who did what."""

    requests_per_s: float = Field(
        default=200,
        gt=0,
        le=1e6,
        description="Requests per second of one credential over time; above it: 429.",
    )
    requests_burst: float = Field(
        default=1_000, ge=1, le=1e7, description="Requests a credential may send at once after a pause."
    )
    bytes_per_s: float = Field(
        default=256 * MIB,
        gt=0,
        le=1e12,
        description="Body bytes per second of one credential over time; above it: 429.",
    )
    bytes_burst: float = Field(
        default=1 * GIB, ge=1, le=1e13, description="Body bytes a credential may send at once after a pause."
    )
    refused_lines_per_s: float = Field(
        default=500,
        gt=0,
        le=1e9,
        description="Refused lines per second of one credential over time; above it: 429. Such a line costs "
        "many times what a good one does.",
    )
    refused_lines_burst: float = Field(
        default=10_000,
        ge=1,
        le=1e10,
        description="Refused lines a credential may send at once.",
    )
    session_s: float = Field(
        default=7 * 86_400,
        ge=60,
        le=365 * 86_400,
        description="Seconds after which a browser has to sign in again, whatever it does.",
    )
    session_idle_s: float = Field(
        default=12 * 3_600,
        ge=60,
        le=365 * 86_400,
        description="Seconds without a request after which a browser has to sign in again.",
    )
    audit_retention_days: int = Field(
        default=400, ge=1, le=36_500, description="Days that entries of the audit log are kept."
    )
    audit_rows_max: int = Field(
        default=1_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Most entries of the audit log; the oldest go first.",
    )


class ObservabilityConfig(Section):
    """Logs, metrics and traces of Tocsin itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="`json`: one object a line; `console`: for people; `auto`: console on a terminal.",
    )
    otlp_endpoint: HttpUrl | None = Field(
        default=None,
        description="Base URL of an OpenTelemetry collector (OTLP over HTTP). None: nothing is sent.",
    )
    otlp_headers: dict[str, SecretStr] = Field(
        default={}, description="HTTP headers sent to the collector, such as its token. Secret: shown masked."
    )
    otlp_interval_s: Seconds = Field(
        default=15, description="Seconds between two exports of metrics to the collector."
    )
    trace_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of requests whose trace is recorded, when there is a collector or a file for it.",
    )
    trace_file: Path | None = Field(
        default=None,
        description="File that spans are appended to, as JSON lines, for `tocsin trace`. None: they are not.",
    )
    trace_file_bytes: int = Field(
        default=64 << 20,
        ge=64 << 10,
        le=1 << 40,
        description="Bytes at which that file is renamed, with `.1` behind it, and another one is begun.",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _no_password_in_url(cls, url: HttpUrl | None) -> HttpUrl | None:
        # a URL is printed and logged; headers are masked
        if url is not None and (url.username or url.password):
            raise ValueError("must not contain a user or password; put the credential in otlp_headers")
        return url


class Config(BaseSettings):
    """All settings of one Tocsin process; unknown keys are refused, and it never changes while running."""

    model_config = SettingsConfigDict(
        env_prefix="TOCSIN_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=False,
    )

    data: Path = Field(
        default=Path("tocsin-data"), description="Folder of everything that is kept; made at the first start."
    )
    http: HttpConfig = HttpConfig()
    ingest: IngestConfig = IngestConfig()
    dumps: DumpsConfig = DumpsConfig()
    log: LogConfig = LogConfig()
    logs: LogsConfig = LogsConfig()
    processing: ProcessingConfig = ProcessingConfig()
    inbox: InboxConfig = InboxConfig()
    lake: LakeConfig = LakeConfig()
    query: QueryConfig = QueryConfig()
    access: AccessConfig = AccessConfig()
    observability: ObservabilityConfig = ObservabilityConfig()
    watch: WatchConfig = WatchConfig()
    tenants: dict[TenantName, WatchConfig] = Field(
        default={},
        description="Tenants watched in another way: name → what `watch` has, which then does not apply.",
    )
    directories: dict[TenantName, DirectoryConfig] = Field(
        default={},
        description="Third parties that know who is responsible for which device: tenant → the fields below.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (whose content comes as arguments); no other source."""
        return env_settings, init_settings

    def scores_of(self, tenant: str) -> Keep:
        """Which of the tenant's scores the lake keeps."""
        return self.lake.scores_of_tenants.get(tenant, self.lake.scores)

    def unit_of(self, tenant: str, parameter: str) -> str:
        """What the tenant reads a parameter's values in; empty if that is not said."""
        known = self.tenants.get(tenant, self.watch).parameters.get(parameter)
        return known.unit if known else ""

    def settings_of(self, tenant: str) -> Settings:
        """What changes the tenant's verdicts, as it goes into a control record."""
        return self.tenants.get(tenant, self.watch).settings()
