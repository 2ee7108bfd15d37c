"""Control records: decisions by clocks, people, settings and failures that change what the processor does.

Each is one record of the log. The processor reads nothing else, so a replay sees the same decisions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec

from tocsin.errors import CorruptError
from tocsin.model import FeedbackActed, MaintenanceActed


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When a run of abnormal verdicts is an episode, and when that is over.

    It opens at the first abnormal reading that is at least `open_after_s` after the first one of the run
    and at least the `open_readings`-th. It closes at a normal reading when `close_after_s` have passed
    since the last abnormal one and at least `close_readings` normal readings in a row were seen. A run
    not yet open is dropped under the same closing rule, so a single normal reading inside does not
    start it anew.
    """

    open_after_s: int = 300
    open_readings: int = 3
    close_after_s: int = 300
    close_readings: int = 3


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """What is physically possible for a parameter, and its unit for people; None = no bound."""

    lower: float | None = None
    upper: float | None = None
    unit: str = ""


class DumpRules(msgspec.Struct, frozen=True, kw_only=True):
    """How dumps are ordered: how long a missing one is waited for; and how long a device may send none.

    That is `silence_times` the longest usual time at the hour of the day, and at least `silence_min_s`. 0: no
    silence is told, as in records from before there was this rule.
    """

    gap_wait_s: int = 25_200
    silence_times: float = 0.0
    silence_min_s: int = 3_600


class DumpDetectorRule(msgspec.Struct, frozen=True, kw_only=True):
    """A dump detector in force: its version, its configuration, and whose dumps it is shown (empty = all)."""

    application: str = ""
    version: str = ""
    config: dict[str, Any] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a tenant sets and that changes verdicts. The defaults need no tuning.

    `detectors` names the detectors that run, with overrides of their declared parameters. `parameters`
    gives ranges and units by parameter name. `timezones` maps a device to its zone, `timezone` is that of
    all others. `tzdata` is the version of the zone data in force. `silence` sets how many typical
    intervals a device may be silent, and at least how long. `dump_detectors` names those that are shown the
    tenant's dumps; none by default.
    """

    timezone: str = "UTC"
    timezones: dict[str, str] = {}
    tzdata: str = ""
    detectors: dict[str, dict[str, float]] = msgspec.field(
        default_factory=lambda: {"seasonal": {}, "health": {}}
    )
    policy: Policy = Policy()
    parameters: dict[str, Range] = {}
    silence_intervals: float = 20.0
    silence_min_s: int = 900
    dumps: DumpRules = DumpRules()
    dump_detectors: dict[str, DumpDetectorRule] = {}


class SettingsChanged(msgspec.Struct, frozen=True, kw_only=True, tag="settings"):
    """The settings of a tenant, whole, from `effective_ms` on."""

    tenant: str
    effective_ms: int
    settings: Settings


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick"):
    """A minute has passed; reveals silences of devices whose last record was live."""

    now_ms: int


class Correct(msgspec.Struct, frozen=True, kw_only=True, tag="correct"):
    """Derive these devices again from all their records before this one, in order of time."""

    tenant: str
    devices: tuple[str, ...]


class Quarantine(msgspec.Struct, frozen=True, kw_only=True, tag="quarantine"):
    """From here on, keep the readings of these devices raw but do not score them (or score them again)."""

    tenant: str
    devices: tuple[str, ...]
    reason: str
    released: bool = False


LIMIT_FACTORS: Final = (1.0, 1.5, 2.25, 3.375)
"""How many times as high limits are, by the steps that feedback has raised them by."""

STEPS_MAX: Final = len(LIMIT_FACTORS) - 1


FEEDBACK_LASTS_MS: Final = 30 * 86_400_000
"""How long "confirmed" and "expected" act, and how far back they reach at most."""


class FeedbackKind(StrEnum):
    """What a person says of an anomaly."""

    FALSE_ALARM = "false_alarm"  # the limits of its series go up by a step
    CONFIRMED = "confirmed"  # what is abnormal stays out of learning, however long it lasts
    EXPECTED = "expected"  # what is abnormal at these hours of the week is learnt
    NEW_NORMAL = "new_normal"  # what was learnt is forgotten, and learnt anew
    WITHDRAWN = "withdrawn"  # the last of these is taken back


class SeriesName(msgspec.Struct, frozen=True, kw_only=True):
    """A series of a device, as one detector judges it."""

    application: str
    parameter: str
    detector: str


class FeedbackGiven(msgspec.Struct, frozen=True, kw_only=True, tag="feedback"):
    """What a person said of an anomaly; it acts on `series` from behind the device's newest stamp on.

    Where it is "confirmed" or "expected", it acts from the first of the `spans` on: those in which the
    anomaly was abnormal, as (first, last stamp) in ms, ascending and apart. `action` is its number in the
    inbox's log: the same one again changes nothing. `at_ms` is when it was said, for people.
    """

    tenant: str
    device: str
    kind: FeedbackKind
    series: tuple[SeriesName, ...]
    anomaly: str
    action: int
    at_ms: int
    spans: tuple[tuple[int, int], ...] = ()


def kind_of(acted: FeedbackActed) -> FeedbackKind:
    """What was said, of feedback as a series keeps it."""
    if acted.kind:
        return FeedbackKind(acted.kind)
    lowered = acted.steps < acted.steps_before
    return FeedbackKind.WITHDRAWN if lowered else FeedbackKind.FALSE_ALARM


class DumpOutcome(StrEnum):
    """What was decided about a dump when it came."""

    ACCEPTED = "accepted"
    CONFLICT = "conflict"  # another body has this sequence already; the first wins, both are kept
    QUARANTINED = "quarantined"  # the archive can't be read; `code` and `detail` say why


class LineSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A device's log lines with offsets from `first` on, below `below`; both of its partition."""

    first: int
    below: int


class DumpReceived(msgspec.Struct, frozen=True, kw_only=True, tag="dump"):
    """A dump of a device's logs lies in the blob store, durably, under its SHA-256; what was decided.

    `collected_from_ms` and `collected_to_ms` are the device's own words. The same dump may be logged again
    when its sender repeats it after more than a day: that changes nothing. `epoch` counts how often the
    device began its numbering anew. `received_ms` is when it came, 0 in records from before that was kept.
    `dictionary` is the SHA-256 of the dictionary of templates that it is judged by: the order of dumps says
    it when it sets the dump free, so it is empty in the log.
    `lines` names the log lines that it was cut from, None for a dump that a device has sent.
    `windows` are the device's maintenance windows when it is set free; as `dictionary`, empty in the log.
    """

    tenant: str
    device: str
    sequence: int
    sha256: str
    size_bytes: int
    outcome: DumpOutcome
    code: str = ""
    detail: str = ""
    application: str = ""
    version: str = ""
    collected_from_ms: int | None = None
    collected_to_ms: int | None = None
    epoch: int = 0
    received_ms: int = 0
    dictionary: str = ""
    lines: LineSpan | None = None
    windows: tuple[MaintenanceActed, ...] = ()

    @property
    def holds_lines(self) -> bool:
        """Whether it is the dump of a window of log lines; one in conflict goes to another number."""
        return self.lines is not None and self.outcome is not DumpOutcome.CONFLICT


class GapGivenUp(msgspec.Struct, frozen=True, kw_only=True, tag="gap"):
    """A device's dumps from one number to another, both within, are waited for no longer.

    What of them came before this record in the log is not given up. `at_ms` is when that was decided,
    `waited_ms` how long later ones had waited by then.
    """

    tenant: str
    device: str
    epoch: int
    from_sequence: int
    to_sequence: int
    at_ms: int = 0
    waited_ms: int = 0


class DictionaryTaken(msgspec.Struct, frozen=True, kw_only=True, tag="dictionary"):
    """A dictionary of templates is in force for an application's dumps from here on.

    It is a blob, durable before this is logged: `sha256` names it, `version` is what people know it by. On
    each device it acts from the first dump that is set free behind this record.
    """

    tenant: str
    application: str
    version: str
    sha256: str
    at_ms: int = 0


class DumpDetectorFailed(msgspec.Struct, frozen=True, kw_only=True, tag="dump_detector_failed"):
    """A detector could not judge a dump: it is shown no more of the device's until the device is released.

    Or until another version of it is in force. `kind` is a dump_detectors.steps.FailureKind.
    """

    tenant: str
    device: str
    epoch: int
    sequence: int
    sha256: str
    detector: str
    version: str
    kind: str
    detail: str


class MaintenanceSet(msgspec.Struct, frozen=True, kw_only=True, tag="maintenance", omit_defaults=True):
    """A maintenance window of some devices: when it holds from a stamp on, in place of what was said before.

    On each device it changes nothing before `effective_ms`, nor up to the device's newest stamp. It holds in
    each of the `spans`, (first, one behind the last ms), ascending and apart; none: it holds no longer. With
    `no_alert` no episode opens within it, with `no_learn` nothing is learnt from its readings. `revision` is
    that of the window, for people: what comes last in the log counts. Devices that have sent nothing yet are
    passed over.
    """

    tenant: str
    window: str
    revision: int
    effective_ms: int
    devices: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    no_alert: bool
    no_learn: bool = False


DumpDecision = DumpReceived | GapGivenUp
"""What the order of a device's dumps follows from."""

Control = (
    SettingsChanged
    | Tick
    | Correct
    | Quarantine
    | FeedbackGiven
    | MaintenanceSet
    | DumpDecision
    | DictionaryTaken
    | DumpDetectorFailed
)

_DECODER: Final = msgspec.json.Decoder(Control)


def encode_control(control: Control) -> bytes:
    """The record as canonical JSON: the same decision gives the same bytes.

    >>> encode_control(Tick(now_ms=60_000))
    b'{"type":"tick","now_ms":60000}'
    """
    return msgspec.json.encode(control, order="deterministic")


def decode_control(payload: bytes) -> Control:
    """The decision in `payload`; CorruptError if it is none.

    >>> decode_control(b'{"type":"tick","now_ms":60000}')
    Tick(now_ms=60000)
    """
    try:
        control: Control = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"a control record is no decision: {error}") from error
    return control


def dump_decision(payload: bytes, device: str) -> DumpDecision | None:
    """The decision in `payload` if it is about the dumps of this device; CorruptError if it is none.

    >>> dump_decision(b'{"type":"tick","now_ms":60000}', "press-3") is None
    True
    """
    control = decode_control(payload)
    return control if isinstance(control, DumpDecision) and control.device == device else None
