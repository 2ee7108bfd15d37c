"""Every metric of Tocsin: its name, kind, unit and meaning, and what to do when it looks wrong.

docs/reference/metrics.md is generated from this file. A metric that is not here cannot be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECONDS_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BYTES_LARGE: Final = tuple(float(1 << power) for power in range(14, 34, 2))
SECONDS_LONG: Final = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """What all kinds have in common. `attributes` are the only ones it may be recorded with.

    Two are equal only if they are the same object, which makes looking one up cheap. Attributes never
    hold devices, parameters or tenants: their number would have no bound.
    """

    name: str
    unit: str
    description: str
    remedy: str
    attributes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Counter, UpDownCounter, Gauge or Histogram, in small letters."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counter(Metric):
    """Only grows; its rate is what matters."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UpDownCounter(Metric):
    """A number of things that come and go, such as steps at work; Prometheus knows it as a gauge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauge(Metric):
    """The value now."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram(Metric):
    """How values are spread; `buckets` are the upper bounds, in the metric's unit."""

    buckets: tuple[float, ...]


HTTP_REQUESTS: Final = Counter(
    name="tocsin.http.requests",
    unit="{request}",
    description="Requests answered, by route template, method and status.",
    remedy="401 or 403: look in the audit log for the credential. 429: raise `access` limits or slow the "
    "sender. 503: see `tocsin.log.queue_bytes`. Any 500 is a bug: report it with the log entry.",
    attributes=("route", "method", "status"),
)
HTTP_DURATION: Final = Histogram(
    name="tocsin.http.duration",
    unit="s",
    description="Time from the first byte of a request to the end of its answer, by route template.",
    remedy="If only POST /v1/events is slow, compare with `tocsin.log.sync_duration`: the disk is the limit.",
    attributes=("route",),
    buckets=SECONDS_SHORT,
)
HTTP_BODY_BYTES: Final = Counter(
    name="tocsin.http.body_bytes",
    unit="By",
    description="Bytes of request bodies as they came, before decompression.",
    remedy="A sudden rise: find the sender by the audit log's 413 and 429 entries.",
)
HTTP_STREAMS: Final = Gauge(
    name="tocsin.http.streams",
    unit="{stream}",
    description="Live views (server-sent events) open now.",
    remedy="Near `http.streams_max`: raise it, or look for clients that open streams without closing them.",
)
INGEST_LINES: Final = Counter(
    name="tocsin.ingest.lines",
    unit="{line}",
    description="Lines of events by outcome: received, accepted, rejected, repeated. "
    "received = accepted + rejected + repeated, always.",
    remedy="Rejected grows: list the dead letters, they say what is wrong with each line. If the sum does "
    "not hold, records may be lost: report it at once.",
    attributes=("outcome",),
)
INGEST_REJECTED: Final = Counter(
    name="tocsin.ingest.rejected",
    unit="{line}",
    description="Rejected lines by code.",
    remedy="The code names the mistake; docs/reference has one entry for each.",
    attributes=("code",),
)
DUMPS: Final = Counter(
    name="tocsin.dumps.received",
    unit="{dump}",
    description="Dumps that were durable when they were answered, by what was decided: accepted, duplicate, "
    "conflict, quarantined.",
    remedy="Many conflicts: a device has lost its counter. Quarantined ones: the control records of type "
    "`dump` say why, device by device.",
    attributes=("outcome",),
)
DUMP_UPLOADS: Final = Gauge(
    name="tocsin.dumps.uploads",
    unit="{upload}",
    description="Dumps on their way in now.",
    remedy="Near `dumps.uploads_max`: senders get 503. Raise it, or look at the disk that dumps go to.",
)
DUMP_BYTES: Final = Histogram(
    name="tocsin.dumps.size",
    unit="By",
    description="Packed size of dumps that were kept.",
    remedy="A rise: some component logs more than before; its dumps will be refused at `dumps.bytes_max`.",
    buckets=BYTES_LARGE,
)
DUMP_PLACES: Final = Gauge(
    name="tocsin.dumps.places",
    unit="{dump}",
    description="Dumps in the log since the beginning by where their order has put them: ready, waiting, "
    "after_gap, duplicate, conflict, quarantined. Their sum is the number received. Of the ready ones and "
    "those after a gap, `tocsin.dumps.ready` are not yet processed.",
    remedy="waiting: devices have not sent a dump that later ones wait for; it is given up after "
    "`watch.dumps.gap_wait_s`. after_gap: raise that setting.",
    attributes=("place",),
)
DUMP_STEPS: Final = Counter(
    name="tocsin.dumps.steps",
    unit="{step}",
    description="Dumps shown to dump detectors, by outcome: done, or why not (crash, hang, memory, error, "
    "refused, archive, storage).",
    remedy="Look at this first. Anything but `done` that grows: the log names detector and device. A device "
    "whose detector has stopped has an anomaly that says why; it goes on when it is released from "
    "quarantine or another version is in force.",
    attributes=("outcome",),
)
DUMP_STEPS_RUNNING: Final = UpDownCounter(
    name="tocsin.dumps.steps_running",
    unit="{step}",
    description="Steps of dump detectors at work now.",
    remedy="As many as `dumps.workers` for long while dumps wait: raise it, or look at the duration.",
)
DUMP_STEP_DURATION: Final = Histogram(
    name="tocsin.dumps.step_duration",
    unit="s",
    description="Time that a worker took for a step, loading and saving included.",
    remedy="Near 60 s steps are given up as hanging: show the detector's team the slowest dump.",
    buckets=SECONDS_LONG,
)
DUMPS_READY: Final = Gauge(
    name="tocsin.dumps.ready",
    unit="{dump}",
    description="Dumps in their order that wait for dump detectors.",
    remedy="Grows for hours: there are too few workers (`dumps.workers`), or a detector has become slow.",
)
DUMP_WORKERS: Final = Gauge(
    name="tocsin.dumps.workers",
    unit="{process}",
    description="Worker processes of dump detectors.",
    remedy="Follows the load between `dumps.workers_min` and `dumps.workers`.",
)
INGEST_DEAD_LETTERS_LEFT_OUT: Final = Counter(
    name="tocsin.ingest.dead_letters_left_out",
    unit="{line}",
    description="Rejected lines beyond `ingest.dead_letters_per_body_max`, of which nothing is kept.",
    remedy="Whole bodies are bad: list the dead letters, they say what is wrong with the first lines.",
)
INGEST_PARSE_DURATION: Final = Histogram(
    name="tocsin.ingest.parse_duration",
    unit="s",
    description="Time to decompress, parse and validate one body.",
    remedy="Slow for its size: many lines miss the compiled reader (escapes, exponents, bad lines).",
    buckets=SECONDS_SHORT,
)
INGEST_SERIES: Final = Gauge(
    name="tocsin.ingest.series",
    unit="{series}",
    description="Series known, those of texts included.",
    remedy="Grows without end: a sender puts values into names; see dead letters with `cardinality_limit`.",
)
LOG_QUEUE_BYTES: Final = Gauge(
    name="tocsin.log.queue_bytes",
    unit="By",
    description="Bytes accepted from requests that wait to be synced.",
    remedy="Near `log.queue_bytes`: the disk is slower than the senders; they get 503 and try again.",
)
LOG_SYNC_DURATION: Final = Histogram(
    name="tocsin.log.sync_duration",
    unit="s",
    description="Time of one group commit of the log, its fsync included.",
    remedy="p99 over 0.1 s: the disk is slow or shared; use a local SSD.",
    buckets=SECONDS_SHORT,
)
LOG_GROUP_APPENDS: Final = Histogram(
    name="tocsin.log.group_appends",
    unit="{append}",
    description="Requests that shared one group commit.",
    remedy="Always 1 under load: senders wait for each other; use more connections.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
LOG_DEAD_LETTERS_DROPPED: Final = Gauge(
    name="tocsin.log.dead_letters_dropped",
    unit="{line}",
    description="Dead letters that went for newer ones since the data folder was made.",
    remedy="Grows: a sender's lines are refused without end; list the newest dead letters, or raise "
    "`log.dead_letters_max`.",
)
LOG_SEGMENTS: Final = Gauge(
    name="tocsin.log.segments",
    unit="{segment}",
    description="Segment files kept.",
    remedy="Grows: the lake, the commit or a checkpoint is behind; see the three lags.",
)
LOG_BYTES: Final = Gauge(
    name="tocsin.log.bytes",
    unit="By",
    description="Size of the segments kept.",
    remedy="As for `tocsin.log.segments`; watch the free disk space.",
)
PROCESSOR_READINGS: Final = Counter(
    name="tocsin.processor.readings",
    unit="{reading}",
    description="Accepted readings by what became of them: scored, duplicate, conflict, late, unscored_text, "
    "unscored_clock, unscored_quarantined, pending. Their sum is the number accepted.",
    remedy="late: the sender delivers out of order; a correction follows. conflict: two senders share a "
    "device name. unscored_clock: a device's clock is wrong.",
    attributes=("status",),
)
PROCESSOR_VERDICTS: Final = Counter(
    name="tocsin.processor.verdicts",
    unit="{verdict}",
    description="Verdicts by detector and value: normal, abnormal, not_ready.",
    remedy="Much abnormal from one detector: look at its anomalies before changing anything.",
    attributes=("detector", "verdict"),
)
PROCESSOR_EPISODES: Final = Counter(
    name="tocsin.processor.episodes",
    unit="{episode}",
    description="Episodes by detector and event: opened, closed, corrected, retracted, suppressed.",
    remedy="Many opened at once: a common cause (site power, network, new software version).",
    attributes=("detector", "event"),
)
PROCESSOR_DURATION: Final = Histogram(
    name="tocsin.processor.duration",
    unit="s",
    description="Time to process one batch of log records.",
    remedy="Grows with a growing lag: more cores are needed, and as many `log.partitions`.",
    buckets=SECONDS_SHORT,
)
PROCESSOR_LAG: Final = Gauge(
    name="tocsin.processor.lag",
    unit="{record}",
    description="Log records not yet committed by the processor, by partition.",
    remedy="Grows without falling: the processor is stuck or too slow; see the log for its last error.",
    attributes=("partition",),
)
COMMIT_DURATION: Final = Histogram(
    name="tocsin.commit.duration",
    unit="s",
    description="Time of one commit of position, episodes, outbox and digests, its fsync included.",
    remedy="As for `tocsin.log.sync_duration`.",
    buckets=SECONDS_SHORT,
)
CHECKPOINT_DURATION: Final = Histogram(
    name="tocsin.checkpoint.duration",
    unit="s",
    description="Time to write one chunk of checkpoints.",
    remedy="Over 0.1 s: the disk is slow or shared; acknowledgements may have to wait for it.",
    buckets=SECONDS_SHORT,
)
CHECKPOINT_LAG: Final = Gauge(
    name="tocsin.checkpoint.lag",
    unit="{record}",
    description="Log records that a restart would replay, by partition.",
    remedy="Grows: restarts take longer and segments are kept; check disk and `checkpoint.duration`.",
    attributes=("partition",),
)
LAKE_FLUSH_DURATION: Final = Histogram(
    name="tocsin.lake.flush_duration",
    unit="s",
    description="Time to write records to the lake, synced.",
    remedy="Over `lake.flush_s`: the lake cannot keep up; look at the number of files (`tocsin lake list`).",
    buckets=SECONDS_LONG,
)
LAKE_LAG: Final = Gauge(
    name="tocsin.lake.lag",
    unit="{record}",
    description="Log records not yet in the lake, by partition.",
    remedy="Grows: see the log for errors of the lake; nothing is lost, the log keeps them.",
    attributes=("partition",),
)
LAKE_DAMAGED: Final = Gauge(
    name="tocsin.lake.damaged_files",
    unit="{file}",
    description="Files of the lake that are not as they were written; all are compared once a day.",
    remedy="Above 0: stop the server, run `tocsin lake repair`, and find out what the disk does.",
)
INBOX_LAG: Final = Gauge(
    name="tocsin.inbox.lag",
    unit="{row}",
    description="Outbox rows not yet folded into anomalies.",
    remedy="Above 0 for long: people see old anomalies; see the log for errors of the inbox.",
)
INBOX_FOLD_DURATION: Final = Histogram(
    name="tocsin.inbox.fold_duration",
    unit="s",
    description="Time to fold one batch of episodes, synced.",
    remedy="As for `tocsin.log.sync_duration`.",
    buckets=SECONDS_SHORT,
)
INBOX_ANOMALIES: Final = Counter(
    name="tocsin.inbox.anomalies",
    unit="{anomaly}",
    description="Changes of anomalies by kind: opened, extended, recurred, updated, cleared, resumed, "
    "reopened, retracted.",
    remedy="A flood of opened: see which devices; a common cause is likely.",
    attributes=("kind",),
)
INBOX_ACTIONS: Final = Counter(
    name="tocsin.inbox.actions",
    unit="{action}",
    description="What people did with anomalies, by kind: seen, acknowledge, snooze, resolve and so on.",
    remedy="None while anomalies are opened: nobody looks at the inbox.",
    attributes=("kind",),
)
DIRECTORY_REQUESTS: Final = Counter(
    name="tocsin.directory.requests",
    unit="{request}",
    description="Requests to directories, by endpoint (technician, device) and outcome: answered, missing, "
    "or why there is no answer (unreachable, timeout, unavailable, limited, refused, broken, too_large).",
    remedy="refused: renew the token. broken: show the third party its answer, none of which was used. Any "
    "other failure: the third party is slow or down; answers come from what is kept, with their age.",
    attributes=("endpoint", "outcome"),
)
DIRECTORY_DURATION: Final = Histogram(
    name="tocsin.directory.duration",
    unit="s",
    description="Time from a request to a directory to its whole answer, or to giving it up, by endpoint.",
    remedy="Near `timeout_s` of the tenant's directory: raise it, or show it to the third party. Nobody who "
    "asks Tocsin waits for it.",
    attributes=("endpoint",),
    buckets=SECONDS_LONG,
)
DIRECTORY_FAILING: Final = Gauge(
    name="tocsin.directory.failing",
    unit="{directory}",
    description="Directories that have failed so often that each is left alone but for a probe now and then.",
    remedy="Above 0: see `tocsin.directory.requests` for why. Lists are answered from what is kept.",
)
DIRECTORY_OLDEST: Final = Gauge(
    name="tocsin.directory.oldest",
    unit="s",
    description="Age of the oldest list of a technician's devices, over all directories; 0 before the first.",
    remedy="Above `soft_s` (15 minutes) for long: the third party fails, or more is due than the daily "
    "allowance of requests lets through; see `tocsin.directory.waiting`.",
)
DIRECTORY_WAITING: Final = Gauge(
    name="tocsin.directory.waiting",
    unit="{question}",
    description="Questions to directories that are due and not asked yet; counts up to 1,000 a directory.",
    remedy="Grows while the third party answers: raise `requests_per_device_day` of the tenant's directory, "
    "or its `at_once`.",
)
CLOCK_JUMP: Final = Gauge(
    name="tocsin.clock.jump",
    unit="s",
    description="How far the machine's clock has jumped, since the start, from the one that stamps arrivals.",
    remedy="Beyond a second: repair time synchronisation, then restart; verdicts are unaffected.",
)
AUDIT_ENTRIES: Final = Counter(
    name="tocsin.access.audit_entries",
    unit="{entry}",
    description="Entries of the audit log by outcome: allowed, denied, failed.",
    remedy="denied grows: someone tries credentials or rights that they do not have.",
    attributes=("outcome",),
)


def all_metrics() -> tuple[Metric, ...]:
    """Every metric of this file, by name."""
    found = (value for value in globals().values() if isinstance(value, Metric))
    return tuple(sorted(found, key=lambda metric: metric.name))


def prometheus_name(metric: Metric) -> str:
    """The name under which /metrics shows it.

    >>> prometheus_name(LOG_SYNC_DURATION), prometheus_name(INGEST_LINES), prometheus_name(LOG_BYTES)
    ('tocsin_log_sync_duration_seconds', 'tocsin_ingest_lines_total', 'tocsin_log_bytes')
    """
    name = metric.name.replace(".", "_")
    unit = {"s": "_seconds", "By": "_bytes"}.get(metric.unit, "")
    suffix = "_total" if isinstance(metric, Counter) else ""
    return name.removesuffix(unit) + unit + suffix


_HEAD: Final = """# Metrics

Prometheus reads them at `/metrics`; with `observability.otlp_endpoint` they are also sent to an
OpenTelemetry collector. A histogram has `_bucket`, `_count` and `_sum` behind its name.

This page is generated from `src/tocsin/observability/metrics.py`; a test proves it up to date.

## Look at these first

Of log dumps: what came of the steps of detectors, how many are at work, and how long they take. With these
three one sees whether a detector fails, whether there are too few workers, or whether a detector has become
slow. What the steps need, and what happens without it, is in [endpoints and jobs](endpoints.md).

| metric | kind | look for |
|---|---|---|
"""
_FIRST: Final[dict[Metric, str]] = {
    DUMP_STEPS: "any outcome but `done` that grows",
    DUMP_STEPS_RUNNING: "as many as `dumps.workers` for long, while `tocsin.dumps.ready` grows",
    DUMP_STEP_DURATION: "p99 near `dumps.step_s`, beyond which steps are given up",
}
"""Three of different kinds: a rate, a level and a spread."""


def render_reference() -> str:
    """The page docs/reference/metrics.md."""
    first = [
        f"| [{metric.name}](#{metric.name.replace('.', '')}) | {metric.kind} | {what} |"
        for metric, what in _FIRST.items()
    ]
    return "\n".join([_HEAD + "\n".join(first) + "\n", *(_entry(metric) for metric in all_metrics())])


def _entry(metric: Metric) -> str:
    attributes = ", ".join(f"`{name}`" for name in metric.attributes) or "none"
    return (
        f"## {metric.name}\n\n{metric.description}\n\n"
        f"- kind: {metric.kind}, unit: `{metric.unit}`, attributes: {attributes}\n"
        f"- in Prometheus: `{prometheus_name(metric)}`\n"
        f"- when it looks wrong: {metric.remedy}\n"
    )
