"""The words of Tocsin as values: verdicts, statuses, severities, episodes. Imports nothing but msgspec."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

import msgspec


class Verdict(IntEnum):
    """What a threshold makes of a score. "Not ready" is never called normal."""

    NORMAL = 0
    ABNORMAL = 1
    NOT_READY = 2


class Status(IntEnum):
    """What became of an accepted reading; the terms of the conservation law, as first given."""

    SCORED = 0
    DUPLICATE = 1
    CONFLICT = 2
    LATE = 3
    UNSCORED_TEXT = 4
    UNSCORED_CLOCK = 5
    UNSCORED_QUARANTINED = 6
    PENDING = 7


class Flag(IntEnum):
    """Bits per event: all but one are decided by ingest and written into the log.

    QUARANTINED is set by corrections alone, on events that came while their device was quarantined.
    LOG_LINE says that the event is a line of a log, its `text` a log_lines.LogLine: it is never scored.
    """

    LIVE = 1
    CLOCK_WRONG = 2
    QUARANTINED = 4
    LOG_LINE = 8


class Severity(StrEnum):
    """How far beyond its limit an episode went; operational = about the data, not the machine."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class SeriesKey(msgspec.Struct, frozen=True, order=True):
    """Names one series; sorts as the digest combines series."""

    tenant: str
    application: str
    device: str
    parameter: str


class DumpName(msgspec.Struct, frozen=True, kw_only=True):
    """A dump of the episode's device."""

    epoch: int
    sequence: int
    sha256: str


class EvidenceText(msgspec.Struct, frozen=True):
    """A line of a member of a dump, numbered from 1."""

    member: str
    number: int
    text: str


class DumpEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What an episode rests on that a dump detector found: the dumps, and what the strongest finding shows.

    `count` dumps from `first` to `last` show it. `sentence`, `facts` and `lines` are those of the finding in
    `peak`; `version` is the detector's that judged `last`. `findings_sha256` chains all its findings.
    """

    first: DumpName
    last: DumpName
    peak: DumpName
    count: int
    version: str
    sentence: str
    facts: dict[str, str | int | float | bool] = {}
    lines: tuple[EvidenceText, ...] = ()
    findings_sha256: str


class FeedbackActed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Feedback that acts on a series from `from_ms` on, where limits are raised by so many steps since.

    Until then it was by `steps_before`. It was given at `at_ms` on an anomaly; `action` is its number in the
    inbox's log. `kind` is a control.FeedbackKind, empty for one that moves limits. "Confirmed" and "expected"
    act below `until_ms`, "expected" at the `hours` of the week alone, counted from Monday 0:00 local time.
    """

    from_ms: int
    steps: int
    steps_before: int
    anomaly: str
    action: int
    at_ms: int
    kind: str = ""
    until_ms: int = 0
    hours: tuple[int, ...] = ()


class MaintenanceActed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A maintenance window that holds for a device from `from_ms` to below `until_ms`.

    Within it nobody is alerted (`no_alert`), or nothing is learnt (`no_learn`), or both.
    """

    window: str
    from_ms: int
    until_ms: int
    no_alert: bool
    no_learn: bool = False  # left out where it is not so: evidence of before there was any keeps its seal


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to derive an episode again.

    The records are those of the device with `from_ms` ≤ ts ≤ `to_ms` and an offset of `partition` below
    `before_offset`: first those below `sorted_below` (the last correction) in order of time, then the
    others in the order of the log. Those between the offsets of a pair in `quarantines` take no part.
    `state` is the detector's hot state just before `from_ms` (at most 256 bytes) and `cells` the cells it
    consulted since, as (time in ms, bytes). `settings` are the limits in force, as (from
    when in ms, JSON). `rows_digest` is
    the sum of the verdict rows from the episode's start on; `seal` the xxh3_128 of everything else here.
    Hashes are hex. What was found in dumps has `dumps` instead of records. `feedback` is what people said of
    the series until `to_ms`: the last of it from before `from_ms`, what acts still then, and all since.
    `maintenance` are the device's windows that touch the span.
    """

    from_ms: int
    to_ms: int
    partition: int
    before_offset: int
    sorted_below: int
    quarantines: tuple[tuple[int, int | None], ...] = ()
    state: bytes
    state_version: int
    cells: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[int, bytes], ...]
    rows_digest: str
    seal: str = ""
    dumps: DumpEvidence | None = None
    feedback: tuple[FeedbackActed, ...] = ()
    maintenance: tuple[MaintenanceActed, ...] = ()


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """A span of abnormal verdicts of one series (or of a device, where `parameter` is empty).

    Times are milliseconds since 1970, UTC. `end_ms` is None while it lasts. `started_ms` is the first
    abnormal reading, `opened_ms` the one at which the policy found it long and strong enough.
    `score`, `value`, `expected`, `lower` and `upper` are those of the peak. `revision` counts from 0; a
    correction makes the next, and `retracted` says that after it nothing was abnormal at all. `suppressed`
    names the maintenance window in which it would have opened: nobody is alerted, unless it outlasts that.
    """

    id: str
    tenant: str
    application: str
    version: str
    device: str
    parameter: str
    detector: str
    reason: str
    severity: Severity
    started_ms: int
    opened_ms: int
    end_ms: int | None
    last_abnormal_ms: int
    peak_ms: int
    readings: int
    value: float
    expected: float
    lower: float
    upper: float
    score: float
    explanation: str
    revision: int = 0
    retracted: bool = False
    suppressed: str = ""
    evidence: Evidence | None = None


MAX_EXACT_INTEGER: Final = 2**53
