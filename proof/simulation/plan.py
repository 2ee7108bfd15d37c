"""All that a seed decides beforehand, as data: what is sent, what goes wrong, and how it is run.

A plan can be written down, cut smaller and run again. What only comes up on the way (which thread is next,
how long a message takes) is drawn from `seed` as it comes.
"""

from __future__ import annotations

import msgspec

START_MS = 1_767_225_600_000  # 2026-01-01
TENANT = "acme"
AT_THE_ANSWER = -1
SETTINGS = 4


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """One request with events, or with `logs`: lines. `text` is NDJSON. Without a sequence it is not
    idempotent.

    `twice` sends it again later as a new request with the same producer and sequence.
    """

    at_s: float
    client: int
    text: str
    sequence: str = ""
    twice: bool = False
    logs: bool = False


class DumpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One dump and how it comes: in one request, or in so many `pieces`. `lines` are those of its log.

    `damaged`: the archive can't be read. `twice`: sent once more later. `ends`: a sender ends the upload in
    its middle and begins anew.
    """

    at_s: float
    device: str
    sequence: int
    lines: tuple[str, ...]
    epoch: int = 0
    pieces: int = 0
    damaged: bool = False
    twice: bool = False
    ends: bool = False


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Chances of what becomes of a dump's step, and on its way: a piece is altered, a body stalls."""

    crash: float = 0.0
    hang: float = 0.0
    slow: float = 0.0
    alter: float = 0.0
    stall: float = 0.0


class CrashPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a process: `kind` is kill, power or stop (in order).

    After `operations` of the disk since its start, or at `at_s`; the next one starts `down_s` later, by a
    clock that was set by `jump_ms`, with settings number `settings`.
    """

    kind: str
    operations: int | None = None
    at_s: float | None = None
    down_s: float = 1.0
    jump_ms: int = 0
    settings: int = 0


class DiskPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong while it lasts: for operations `on`, of files whose names begin with `name`.

    `kind`: full, error, or slow (each operation then takes `delay_s`). At most `times`, each by `chance`.
    """

    kind: str
    name: str
    on: tuple[str, ...]
    from_s: float
    to_s: float
    delay_s: float = 0.0
    chance: float = 1.0
    times: int = 1_000_000


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A person or program that looks at something, or does it."""

    at_s: float
    method: str
    path: str
    query: str = ""


class Quarantining(msgspec.Struct, frozen=True, kw_only=True):
    """A device is put aside, or taken back; then detectors that have stopped for it go on."""

    at_s: float
    device: str
    released: bool = False


class ActPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A person looks at the inbox, thinks for `read_s`, and acts on the `pick`-th anomaly, or on several.

    With `cut` the power goes at the so manieth operation of the disk from then on, or with AT_THE_ANSWER as
    soon as it is heard that it was done.
    """

    at_s: float
    person: int
    kind: str
    pick: int
    read_s: float = 0.0
    snooze_s: int = 60
    cut: int = 0


class WindowPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A person has a device in maintenance, from `from_s` later on, or earlier, for `lasts_s`; or for good.

    `device` is the name of one, or of a location or an application, as `covers` says. With `days` it is on
    these days of the week alone, between two minutes of the day in a zone. Or (`ends`) the person ends the
    `pick`-th window that has no end yet. `again` asks for the same once more, later. `cut` as of an ActPlan.
    """

    at_s: float
    person: int
    device: str = ""
    covers: str = "device"
    from_s: float = 0.0
    lasts_s: float | None = None
    days: tuple[int, ...] = ()
    from_minute: int = 0
    until_minute: int = 0
    zone: str = "UTC"
    no_alert: bool = True
    no_learn: bool = False
    ends: bool = False
    pick: int = 0
    again: bool = False
    cut: int = 0


class ChangePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A person reads the `pick`-th window that has no end yet, thinks for `read_s`, and changes it.

    With `moves` it is to end `lasts_s` after that, None for never. `why`: the reason is changed. Without
    `names` no revision is named, so that whatever the window is by then is changed. `cut` as of an ActPlan.
    """

    at_s: float
    person: int
    pick: int
    read_s: float = 0.0
    moves: bool = False
    lasts_s: float | None = None
    why: bool = False
    no_alert: bool | None = None
    no_learn: bool | None = None
    names: bool = True
    again: bool = False
    cut: int = 0


class SilenceRules(msgspec.Struct, frozen=True, kw_only=True):
    """Logs may stay away for `times` what is usual, by the number of the settings, and for `least_s`."""

    times: tuple[float, ...]
    least_s: int


class MovePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A device gets another technician, or comes to another place; each is named by number."""

    at_s: float
    device: str
    technician: int | None = None
    place: int | None = None


class DirectoryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The third party: which `share` of its answers is bad, and when it is `down`, from and to in seconds.

    It knows the `newcomers` too, who send something later than others.
    """

    technicians: int
    places: int = 1
    newcomers: tuple[str, ...] = ()
    moves: tuple[MovePlan, ...] = ()
    share: float = 0.0
    down: tuple[tuple[float, float], ...] = ()


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Chances of what becomes of a message, and how long one takes."""

    lose_request: float = 0.0
    lose_reply: float = 0.0
    repeat: float = 0.0
    cut: float = 0.0
    delay: float = 0.0
    latency_s: float = 0.01


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`ends_s`: when faults are over. `settings` are numbered, see SETTINGS. A sync takes `sync_s`.

    `log_devices` stream lines, of which dumps are cut that last `window_s`, or until `quiet_s` behind that.
    With `silence` it is told when they stop. What is usual is known behind seven days alone, so each of
    `past` is sent before second 0, in a life of its own, and nothing runs between.
    """

    seed: int
    devices: tuple[str, ...]
    bodies: tuple[Body, ...]
    crashes: tuple[CrashPlan, ...] = ()
    disk: tuple[DiskPlan, ...] = ()
    asks: tuple[Ask, ...] = ()
    quarantines: tuple[Quarantining, ...] = ()
    acts: tuple[ActPlan, ...] = ()
    windows: tuple[WindowPlan, ...] = ()
    changes: tuple[ChangePlan, ...] = ()
    network: Network = Network()
    dumps: tuple[DumpPlan, ...] = ()
    steps: Steps = Steps()
    gap_wait_s: int = 300
    log_devices: tuple[str, ...] = ()
    window_s: int = 300
    quiet_s: int = 60
    silence: SilenceRules | None = None
    past: tuple[Body, ...] = ()
    partitions: int = 2
    segment_bytes: int = 60_000
    switching: float = 0.2
    idle_s: float = 5.0
    tick_s: float = 60.0
    sync_s: float = 0.0
    directory: DirectoryPlan | None = None
    ends_s: float = 3600.0

    @property
    def begins_s(self) -> float:
        """The second at which the system is started for the first time."""
        return min((body.at_s for body in self.past), default=0.0)
